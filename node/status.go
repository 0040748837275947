package node

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"lafs/onion"
)

// SocketHost is the host of requests on private/gateway.sock, and StatusPath
// where a Status is read there. The socket is its owner's alone, so nothing
// more is asked of a caller.
const (
	SocketHost = "lafs"
	StatusPath = "/lafs/v1/status"
)

// A Status is how a node is doing, for its owner. It holds no secret and no
// whole onion address.
type Status struct {
	// Role is introducer or client.
	Role     string `json:"role"`
	Nickname string `json:"nickname,omitempty"`
	// Ready says that the node has begun to serve.
	Ready bool `json:"ready"`
	// Tor is the network.
	Tor TorStatus `json:"tor"`
	// Needed, Happy and Total are a client's k, happy and N.
	Needed int `json:"shares_needed,omitempty"`
	Happy  int `json:"shares_happy,omitempty"`
	Total  int `json:"shares_total,omitempty"`
	// Introducers are those that a client asks.
	Introducers []IntroducerStatus `json:"introducers"`
	// Servers are those that a client knows.
	Servers []ServerStatus `json:"servers"`
	// Refused are the introducers and servers that cannot be used.
	Refused []Refusal `json:"refused,omitempty"`
	// Storage is the node's own storage server.
	Storage *StorageStatus `json:"storage,omitempty"`
	// Load is what others make the node hold; nil where it serves nobody.
	Load *LoadStatus `json:"load,omitempty"`
	// Troubles are the last warnings and errors, the newest first.
	Troubles []Trouble `json:"troubles"`
	// Announced is how many servers an introducer knows.
	Announced *int `json:"announced,omitempty"`
}

// A TorStatus is an onion.Status.
type TorStatus struct {
	Mode      string `json:"mode"`
	Version   string `json:"version,omitempty"`
	Bootstrap int    `json:"bootstrap_percent"`
	Summary   string `json:"summary,omitempty"`
	Warning   string `json:"warning,omitempty"`
	// Defences says what Tor does for our service against floods.
	Defences string `json:"defences,omitempty"`
	// Circuits says whether it has any; absent is not known.
	Circuits *bool `json:"circuits,omitempty"`
	// Services are our own, Published those that can be found, and Uploads
	// and FailedUploads the directories that took a descriptor, or did not.
	Services      int `json:"services,omitempty"`
	Published     int `json:"services_published,omitempty"`
	Uploads       int `json:"descriptor_uploads,omitempty"`
	FailedUploads int `json:"descriptor_uploads_failed,omitempty"`
}

// An IntroducerStatus is one introducer of a client.
type IntroducerStatus struct {
	Petname   string `json:"petname"`
	Connected bool   `json:"connected"`
	// Detail says what is wrong, or since when it is not.
	Detail string `json:"detail,omitempty"`
	// Servers is how many it told of.
	Servers int `json:"servers"`
}

// A ServerStatus is one storage server that a client knows.
type ServerStatus struct {
	ID        string `json:"id"`
	Nickname  string `json:"nickname,omitempty"`
	Connected bool   `json:"connected"`
	// Lanes is how many circuits lead to it now.
	Lanes int `json:"lanes"`
	// Source says who named it: self, static or introducer.
	Source string `json:"source"`
	// LastUsed is when it was last asked something; zero is never.
	LastUsed time.Time `json:"last_used,omitzero"`
	// LastError is what went wrong last, empty if nothing did since.
	LastError string `json:"last_error,omitempty"`
	// Stale: it was not announced for so long that it gets no new shares.
	Stale bool `json:"stale,omitempty"`
	// OnlyTahoe: it speaks only Tahoe-LAFS's protocol. It keeps no votes, and
	// changes of mutable objects on it are agreed on by clients alone. False
	// also as long as it has not been asked.
	OnlyTahoe bool `json:"only_tahoe_protocol,omitempty"`
}

// A StorageStatus is the node's own storage server. Sizes are in bytes.
type StorageStatus struct {
	// Published says that the onion service can be reached, as far as known.
	Published bool `json:"published"`
	ReadOnly  bool `json:"read_only"`
	// Shares and Bytes are what is held; Available is what may be added.
	Shares    int64 `json:"shares"`
	Bytes     int64 `json:"bytes"`
	Available int64 `json:"available"`
	Reserved  int64 `json:"reserved"`
	// Uploads are those under way, Leases what was counted in the last ten
	// minutes, Advisories the shares that were reported to be corrupt.
	Uploads    int   `json:"unfinished_uploads"`
	Leases     int64 `json:"leases"`
	Advisories int   `json:"advisories"`
	// Since is the traffic since the start, Hour that of the last hour.
	Since Traffic `json:"traffic_since_start"`
	Hour  Traffic `json:"traffic_last_hour"`
	// StateLost: the storage directory was lost or replaced by an older
	// copy, so the server takes no part in changes of mutable objects.
	StateLost bool `json:"state_lost,omitempty"`
}

// Status says how the node is doing. It asks nobody.
func (n *Node) Status() Status {
	s := Status{
		Role: n.cfg.Role(), Nickname: n.cfg.Nickname, Ready: n.isReady.Load(), Refused: n.cfg.Refused,
		Tor: TorStatus{Bootstrap: -1}, Introducers: []IntroducerStatus{}, Servers: []ServerStatus{},
	}
	if n.deps.NetworkStatus != nil {
		s.Tor = torStatus(n.deps.NetworkStatus())
	}
	if n.introducer != nil {
		known := n.introducer.Servers()
		s.Announced = &known
	}
	if n.storage != nil {
		s.Storage = n.storageStatus()
	}
	if n.storage != nil || n.introducer != nil {
		s.Load = n.loadStatus()
	}
	if n.client != nil {
		s.Needed, s.Happy, s.Total = n.cfg.Needed, n.cfg.Happy, n.cfg.Total
		s.Introducers = n.client.introducerStatus()
		s.Servers = n.client.serverStatus()
	}
	s.Troubles = n.troubles.recent()
	return s
}

func torStatus(t onion.Status) TorStatus {
	s := TorStatus{
		Mode: t.Mode, Version: t.Version, Bootstrap: t.Bootstrap, Summary: t.Summary, Warning: t.Warning, Defences: t.Defences,
		Services: t.Services, Published: t.Published, Uploads: t.Uploads, FailedUploads: t.FailedUploads,
	}
	if t.Circuits != onion.Unknown {
		has := t.Circuits == onion.Yes
		s.Circuits = &has
	}
	return s
}

// A leaseCount keeps a count for a while: counting reads a part of the
// storage index.
type leaseCount struct {
	mu sync.Mutex
	n  int64     // guarded by mu
	at time.Time // guarded by mu
}

const leaseCountLasts = 10 * time.Minute

func (n *Node) countLeases() int64 {
	c, now := &n.leases, n.deps.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at.IsZero() || now.Sub(c.at) >= leaseCountLasts || now.Before(c.at) {
		if count, err := n.storage.CountLeases(); err == nil {
			c.n, c.at = count, now
		}
	}
	return c.n
}

func (n *Node) storageStatus() *StorageStatus {
	st := &StorageStatus{Published: n.published.Load(), ReadOnly: n.cfg.ReadOnly, Reserved: n.cfg.ReservedSpace}
	if have, err := n.storage.Stats(); err == nil {
		st.Shares, st.Bytes, st.Available = have.Shares, have.Bytes, have.Available
		st.StateLost, st.Uploads = have.StateLost, have.Uploads
	}
	st.Leases = n.countLeases()
	st.Advisories, _ = n.storage.CountAdvisories()
	st.Since, st.Hour = n.traffic.sums()
	return st
}

func (c *client) introducerStatus() []IntroducerStatus {
	out := []IntroducerStatus{}
	for _, in := range c.intro.Status() {
		detail := in.LastError
		if in.Connected {
			detail = ""
		}
		switch {
		case in.Publishes && in.AnnounceError != "":
			detail = "our announcement is not there: " + in.AnnounceError
		case !in.Publishes && detail == "" && c.node.storage != nil:
			detail = "its address here is one for clients: our storage server is not announced there"
		}
		out = append(out, IntroducerStatus{Petname: in.Petname, Connected: in.Connected, Detail: detail, Servers: in.Servers})
	}
	return out
}

func (c *client) serverStatus() []ServerStatus {
	out := []ServerStatus{}
	if n := c.node; n.storage != nil {
		out = append(out, ServerStatus{ID: n.ownID(), Nickname: n.cfg.Nickname, Connected: true, Source: "self"})
	}
	for _, a := range c.known() {
		peer := c.peer(a)
		p := peer.way.Status()
		source := "introducer"
		if a.Static {
			source = "static"
		}
		out = append(out, ServerStatus{
			ID: a.ServerID(), Nickname: a.Nickname, Source: source, Stale: a.Stale,
			Connected: p.Connected, Lanes: p.Lanes, LastError: p.LastError, LastUsed: p.LastUsed,
			OnlyTahoe: peer.storage.OnlyTahoe(),
		})
	}
	return out
}

// serveStatus answers on StatusPath.
func (n *Node) serveStatus(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	json.NewEncoder(w).Encode(n.Status())
}
