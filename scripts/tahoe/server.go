package tahoe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"
	"gopkg.in/yaml.v3"

	"lafs/introducer"
	"lafs/onion"
	"lafs/onion/door"
	"lafs/onion/local"
)

// onionPort is the virtual port that Tahoe-LAFS gives its onion services.
const onionPort = 3457

// A Server is a Tahoe-LAFS storage server behind an onion service that it
// publishes itself.
type Server struct {
	*Node
	addr onion.Addr
}

// ServerOptions say what server to make.
type ServerOptions struct {
	// Program is tahoe (Install), Dir the directory to make.
	Program, Dir string
	// Control is Tor's control port, as unix:/path (onion/tornet's ClientTor).
	Control string
	// ReservedSpace is as in tahoe.cfg; empty: none.
	ReservedSpace string
}

// NewServer makes a server's directory, as tahoe create-node --listen=tor
// does, without asking Tor for the key.
func NewServer(o ServerOptions) (*Server, error) {
	key, err := onion.GenerateKey()
	if err != nil {
		return nil, err
	}
	addr, err := key.Addr(onionPort)
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	if o.ReservedSpace == "" {
		o.ReservedSpace = "0"
	}
	n, err := create(o.Program, o.Dir, fmt.Sprintf(`[node]
web.port =
reveal-IP-address = false
tub.port = tcp:%d:interface=127.0.0.1
tub.location = tor:%s

[connections]
tcp = tor

[tor]
control.port = %s
onion = true
onion.local_port = %d
onion.external_port = %d
onion.private_key_file = private/tor_onion.privkey

[storage]
enabled = true
reserved_space = %s
`, port, addr, o.Control, port, onionPort, o.ReservedSpace))
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(o.Dir, "private", "tor_onion.privkey"), []byte(key.Marshal()), 0o600); err != nil {
		return nil, err
	}
	return &Server{n, addr}, nil
}

// freePort finds a port of this machine for Tahoe-LAFS, which cannot let the
// system choose.
func freePort() (int, error) {
	l, err := local.ListenLoopback("127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// NURL is what Tahoe-LAFS announces of a server that has run once: it is
// worked out here of the files that it left, since it tells introducers only.
func (s *Server) NURL() (*introducer.NURL, error) {
	text, err := os.ReadFile(filepath.Join(s.Dir, "private", "node.pem"))
	if err != nil {
		return nil, err
	}
	id, err := door.Parse(text)
	if err != nil {
		return nil, err
	}
	furl, err := s.furl()
	if err != nil {
		return nil, err
	}
	sw, err := introducer.NewSwissnum(furl[strings.LastIndexByte(furl, '/')+1:])
	if err != nil {
		return nil, err
	}
	return introducer.NewNURL(introducer.Door{Address: s.addr, Pin: id.Pin()}, sw), nil
}

func (s *Server) furl() (string, error) {
	text, err := os.ReadFile(filepath.Join(s.Dir, "private", "storage.furl"))
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(text)), nil
}

// ServersYAML is the server as an entry of private/servers.yaml.
func (s *Server) ServersYAML() ([]byte, error) {
	nurl, err := s.NURL()
	if err != nil {
		return nil, err
	}
	furl, err := s.furl()
	if err != nil {
		return nil, err
	}
	key, err := os.ReadFile(filepath.Join(s.Dir, "node.pubkey"))
	if err != nil {
		return nil, err
	}
	id, ok := bytes.CutPrefix(bytes.TrimSpace(key), []byte("pub-"))
	if !ok {
		return nil, errors.New("node.pubkey does not start with pub-")
	}
	seed, err := os.ReadFile(filepath.Join(s.Dir, "permutation-seed"))
	if err != nil {
		return nil, err
	}
	return yaml.Marshal(map[string]any{"storage": map[string]any{string(id): map[string]any{"ann": map[string]any{
		"anonymous-storage-FURL":  furl,
		"anonymous-storage-NURLs": []string{nurl.Reveal()},
		"permutation-seed-base32": string(bytes.TrimSpace(seed)),
		"nickname":                filepath.Base(s.Dir),
		"service-name":            "storage",
	}}}})
}

// StartAll runs servers, two at a time: each is some seconds of Python.
func StartAll(ctx context.Context, servers []*Server) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(2)
	for _, s := range servers {
		group.Go(func() error { return s.Start(ctx) })
	}
	return group.Wait()
}
