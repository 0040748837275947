package node

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"lafs/node/dirnode"
	"lafs/node/gateway"
)

// foreignIdle is how long another program may fall silent in the middle of
// a request; our own command may for ever, since it may read from a person.
const foreignIdle = 2 * time.Minute

// gateways returns the web API twice: for our own command on the socket, and
// for other programs on the port, nil when there is none.
func (n *Node) gateways(port net.Listener) (own, others http.Handler, err error) {
	if err := os.MkdirAll(n.cfg.TempDir, dirMode); err != nil {
		return nil, nil, fmt.Errorf("make directory for temporary files: %w", err)
	}
	cfg := gateway.Config{
		Grid:     gateway.OnGrid(n.client.grid, n.cfg.TempDir),
		Tree:     dirnode.New(n.client.objects, n.deps.Now),
		Mutables: n.client.objects,
		Checker:  n.client.checker(),
		Format:   n.cfg.MutableFormat,
		Hosts:    []string{SocketHost},
		Info:     n.gatewayInfo,
		Log:      n.log,
	}
	if own, err = gateway.New(cfg); err != nil || port == nil {
		return own, nil, err
	}
	cfg.Hosts, cfg.Idle = hostNames(port.Addr()), foreignIdle
	others, err = gateway.New(cfg)
	return own, others, err
}

// hostNames are the values of the header Host under which programs reach a
// loopback port.
func hostNames(a net.Addr) []string {
	_, port, err := net.SplitHostPort(a.String())
	if err != nil {
		return []string{a.String()}
	}
	return []string{a.String(), net.JoinHostPort("localhost", port)}
}

// gatewayInfo tells other programs of servers and introducers.
func (n *Node) gatewayInfo() gateway.Info {
	s := n.Status()
	var out gateway.Info
	for _, in := range s.Introducers {
		text := "Not connected to " + in.Petname
		if in.Connected {
			text = "Connected to " + in.Petname
		}
		out.Introducers = append(out.Introducers, text)
	}
	for _, sv := range s.Servers {
		// Sessions open on first use, so a server that is merely not in use
		// counts as there: programs wait for servers before they use any.
		text := "Connected: on demand"
		switch {
		case sv.Connected:
			text = "Connected"
		case sv.LastError != "":
			text = "Not connected: " + sv.LastError
		}
		version := ""
		if sv.OnlyTahoe {
			version = "Tahoe's protocol only: changes are agreed on by clients alone"
		}
		out.Servers = append(out.Servers, gateway.ServerInfo{
			NodeID: sv.ID, Nickname: sv.Nickname, ConnectionStatus: text, LastReceived: sv.LastUsed, Version: version,
		})
	}
	return out
}
