package gateway

import (
	"encoding/json"
	"io"
	"net/http"
	"time"
)

// An Info is what a node tells programs about itself, in Tahoe's shape
// (TAHOE.md, "Web API").
type Info struct {
	// Introducers has one line of text for each.
	Introducers []string
	Servers     []ServerInfo
}

// A ServerInfo is one storage server that the node knows.
type ServerInfo struct {
	NodeID string
	// ConnectionStatus begins with "Connected" just if it is.
	ConnectionStatus string
	// AvailableSpace is in bytes, nil if not known.
	AvailableSpace *uint64
	Nickname       string
	// Version is the protocol's, never a program's.
	Version string
	// LastReceived is when it was last heard, zero if never.
	LastReceived time.Time
}

type infoJSON struct {
	Introducers struct {
		Statuses []string `json:"statuses"`
	} `json:"introducers"`
	Servers []serverJSON `json:"servers"`
}

type serverJSON struct {
	NodeID           string  `json:"nodeid"`
	ConnectionStatus string  `json:"connection_status"`
	AvailableSpace   *uint64 `json:"available_space"`
	Nickname         string  `json:"nickname"`
	Version          string  `json:"version"`
	LastReceivedData *int64  `json:"last_received_data"` // seconds since 1970
}

// front is what a person reads who opens the address of the node.
const front = `This is the web API of a lafs node, which is Tahoe-LAFS's.

/uri/CAP        a file, or the list of a directory; with ?t=info or ?t=json what is known of it
/uri/CAP/path   what is below that directory
/?t=json        the servers that the node knows; lafs status says more

lafs help tahoe tells what there is of Tahoe-LAFS's, and what is not.
`

// info answers GET /, as JSON with t=json.
func (g *gateway) info(w http.ResponseWriter, a args) error {
	if err := a.only(); err != nil {
		return err
	}
	switch a.t() {
	case "":
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		io.WriteString(w, front)
		return nil
	case "json":
	default:
		return refuse(http.StatusBadRequest, "this page is known as text and as t=json")
	}
	in := g.cfg.Info()
	var out infoJSON
	out.Introducers.Statuses = append([]string{}, in.Introducers...)
	out.Servers = []serverJSON{}
	for _, s := range in.Servers {
		j := serverJSON{s.NodeID, s.ConnectionStatus, s.AvailableSpace, s.Nickname, s.Version, nil}
		if !s.LastReceived.IsZero() {
			at := s.LastReceived.Unix()
			j.LastReceivedData = &at
		}
		out.Servers = append(out.Servers, j)
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(out)
	return nil
}
