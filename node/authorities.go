package node

import (
	"encoding/json"
	"errors"
	"fmt"

	"lafs/introducer"
	"lafs/node/authority"
	"lafs/shares/caps"
	"lafs/shares/storage"
)

// A GrantRequest asks for an authority on this node's storage server, or to
// change one.
type GrantRequest struct {
	Name string `json:"name"`
	// Quota is in bytes; nil leaves it, authority.NoQuota takes it away.
	Quota *int64 `json:"quota,omitempty"`
	// Renew asks for another swissnum.
	Renew bool `json:"renew,omitempty"`
}

// A GrantAnswer is what was granted. Secret: Client holds the swissnum.
type GrantAnswer struct {
	Authority AuthorityStatus `json:"authority"`
	// Client is one line for private/servers.yaml of a client, empty where
	// the swissnum is not new: it is not kept.
	Client string `json:"client,omitempty"`
}

// An AuthorityStatus is one authority. Sizes are in bytes of the disk.
type AuthorityStatus struct {
	Name string `json:"name"`
	// Quota is authority.NoQuota (-1) for none.
	Quota int64 `json:"quota"`
	On    bool  `json:"on"`
	// Known: the node runs, so that what is stored is known.
	Known    bool  `json:"usage_known"`
	Shares   int64 `json:"shares"`
	Disk     int64 `json:"disk"`
	Reserved int64 `json:"reserved"`
}

// errNoStorage is a node without that role.
var errNoStorage = errors.New("this node is not a storage server: set [storage] enabled = true in tahoe.cfg")

// openAuthorities opens the node's book.
func (c *Config) openAuthorities() (*authority.Book, error) {
	if !c.Storage {
		return nil, errNoStorage
	}
	return authority.Open(c.Dir.path("private", "storage.authorities"), c.secrets.swissnum)
}

// Grant is for a node that does not run; the caller holds its directory.
func (c *Config) Grant(req GrantRequest) (GrantAnswer, error) {
	book, err := c.openAuthorities()
	if err != nil {
		return GrantAnswer{}, err
	}
	return c.grant(book, req)
}

// Revoke is for a node that does not run; the caller holds its directory.
func (c *Config) Revoke(name string) error {
	book, err := c.openAuthorities()
	if err != nil {
		return err
	}
	return book.Revoke(name)
}

// Authorities lists those of a node that does not run, and so without what
// they have stored.
func (c *Config) Authorities() ([]AuthorityStatus, error) {
	book, err := c.openAuthorities()
	if err != nil {
		return nil, err
	}
	var out []AuthorityStatus
	for _, e := range book.List() {
		out = append(out, authorityStatus(e))
	}
	return out, nil
}

func authorityStatus(e authority.Entry) AuthorityStatus {
	return AuthorityStatus{Name: e.Name, Quota: e.Quota, On: !e.Off}
}

func (c *Config) grant(book *authority.Book, req GrantRequest) (GrantAnswer, error) {
	e, sw, err := book.Grant(req.Name, authority.Change{Quota: req.Quota, Renew: req.Renew})
	if err != nil {
		return GrantAnswer{}, err
	}
	out := GrantAnswer{Authority: authorityStatus(e)}
	if sw != nil {
		out.Client, err = c.serverLine(sw)
	}
	return out, err
}

// serverLine is what a client puts into private/servers.yaml to store here
// under an authority: one line of JSON, which is YAML too. Secret.
func (c *Config) serverLine(sw *storage.Swissnum) (string, error) {
	s := c.secrets
	ann := map[string]any{
		"service-name":            "storage",
		"address":                 s.addr.String(),
		"anonymous-storage-FURL":  s.storageFURL(sw),
		"permutation-seed-base32": caps.Encoding.EncodeToString(s.seed),
	}
	if c.Nickname != "" {
		ann["nickname"] = c.Nickname
	}
	id := introducer.NewServerID(s.public())
	if _, err := introducer.Static(id, ann); err != nil {
		return "", fmt.Errorf("describe the server for a client: %w", err)
	}
	line, err := json.Marshal(map[string]any{"storage": map[string]any{id: map[string]any{"ann": ann}}})
	return string(line), err
}

// authorities lists those of the running node.
func (n *Node) authorityStatus() []AuthorityStatus {
	usage := n.storage.Usage()
	var out []AuthorityStatus
	for _, e := range n.book.List() {
		a := authorityStatus(e)
		u := usage[e.Number]
		a.Known, a.Shares, a.Disk, a.Reserved = true, u.Shares, u.Disk, u.Reserved
		out = append(out, a)
	}
	return out
}

// authorize finds the authority that a swissnum stands for.
func (n *Node) authorize(swissnum []byte) (storage.Server, bool) {
	who, ok := n.book.Lookup(swissnum)
	if !ok {
		return nil, false
	}
	return n.storage.As(who), true
}

// setQuotas tells the store of a change in the book.
func (n *Node) setQuotas() { n.storage.SetQuotas(n.book.Quotas()) }
