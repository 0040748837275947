package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"lafs/introducer"
	"lafs/node/store"
	"lafs/shares/mutable"
)

// Defaults of tahoe.cfg, Tahoe-LAFS's own where it has them.
const (
	DefaultNeeded = 3
	DefaultHappy  = 7
	DefaultTotal  = 10
	// DefaultReservedSpace is what a storage server leaves free, in bytes.
	DefaultReservedSpace = 1_000_000_000
	// DefaultWebPort lets other programs reach the web API.
	DefaultWebPort = "tcp:3456:interface=127.0.0.1"
	// DefaultOnionPort is the virtual port of what a node publishes.
	DefaultOnionPort = 3457
	// DefaultTahoePort is the virtual port of a storage server's second door,
	// unless OnionPort is that.
	DefaultTahoePort = 3458
	// DefaultTorMode is a tor of our own.
	DefaultTorMode = "launch"
)

// A Config is what a node directory says, read and checked. It holds the
// node's secrets by pointer and prints none of them.
type Config struct {
	// Dir is where the node lives.
	Dir Dir
	// Nickname is announced where the operator writes one.
	Nickname string
	// WebPort is the loopback "host:port" of the web API for other programs,
	// empty when it is turned off.
	WebPort string
	// TempDir holds what is spooled, encrypted.
	TempDir string
	// Tor says which Tor to use.
	Tor TorConfig
	// OnionPort is the virtual port of the storage server or introducer.
	OnionPort uint16
	// TahoePort is the virtual port on which the storage server serves
	// Tahoe-LAFS's clients, over TLS.
	TahoePort uint16
	// Needed, Happy and Total are k, happy and N of new files.
	Needed, Happy, Total int
	// MutableFormat is that of new directories, and of mutable files for
	// which none is asked for.
	MutableFormat mutable.Format
	// Lanes is the most circuits for bulk to one server, and Sessions where
	// second ones end for all servers together (mux.Config); 0 means the
	// default.
	Lanes, Sessions int
	// Introducer, Storage and Client are the node's roles: an introducer
	// alone, or a client that may be a storage server too.
	Introducer, Storage, Client bool
	// StorageDir, ReservedSpace (bytes) and ReadOnly are the storage
	// server's.
	StorageDir    string
	ReservedSpace int64
	ReadOnly      bool
	// Expire says which shares are collected; none by default.
	Expire store.Expiry
	// Introducers are those of private/introducers.yaml that we can use, by
	// petname.
	Introducers map[string]*introducer.FURL
	// Servers are those of private/servers.yaml that we can use.
	Servers []*introducer.Announcement
	// Refused are the introducers and servers that we cannot use, each with
	// the reason, for the log and the status.
	Refused []Refusal
	// Notices say which settings of Tahoe-LAFS have no effect here.
	Notices []string

	keyFile string
	secrets *secrets
}

// A TorConfig says which Tor to use. Its texts are checked by the package
// that starts it.
type TorConfig struct {
	// Mode is launch, system, control=ADDR, socks=ADDR or auto.
	Mode string
	// Executable is the tor program; empty means the one on PATH.
	Executable string
	// Fragment is a file of lines for the torrc of a launched tor; empty
	// means none. It is for private Tor networks.
	Fragment string
	// LocalPort is where a Tor that is not ours reaches our service on this
	// machine, for firewalls that let only listed ports through; 0 lets the
	// system choose.
	LocalPort uint16
}

// A Refusal is an introducer or server of the directory that is not used.
type Refusal struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

// Load reads a node directory, and completes it with the keys that it lacks.
// It matches ErrNoNode when there is no tahoe.cfg. An introducer or a server
// that lafs cannot use is no error: it stands in Refused.
func Load(dir string) (*Config, error) {
	c, err := read(dir)
	if err != nil {
		return nil, err
	}
	if err := c.Dir.prepare(); err != nil {
		return nil, err
	}
	if err := c.Dir.refuseUnfinished(); err != nil {
		return nil, err
	}
	if c.secrets, err = loadSecrets(c); err != nil {
		return nil, err
	}
	if c.Client {
		if err := c.loadPeers(); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// read reads and checks tahoe.cfg alone.
func read(dir string) (*Config, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("find node directory: %w", err)
	}
	d := Dir(abs)
	text, err := readSmall(d.ConfigFile(), maxConfig)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s has no tahoe.cfg", ErrNoNode, dir)
	}
	if err != nil {
		return nil, fmt.Errorf("read tahoe.cfg: %w", err)
	}
	if _, err := os.Stat(d.path("tahoe-introducer.tac")); err == nil {
		return nil, errors.New("this directory is a Tahoe-LAFS introducer's, which speaks Foolscap: make a new one with lafs create-introducer")
	}
	return ParseConfig(d, text)
}

// maxConfig bounds tahoe.cfg, in bytes.
const maxConfig = 1 << 20

// SetTorMode overrides [tor] mode, for this run only.
func (c *Config) SetTorMode(mode string) error {
	c.Tor.Mode = mode
	return c.checkTor()
}

// checkTor refuses a Tor that cannot serve the node's roles.
func (c *Config) checkTor() error {
	if strings.HasPrefix(c.Tor.Mode, "socks=") && (c.Storage || c.Introducer) {
		return errors.New("a SOCKS port can reach others but publish nothing: a storage server or introducer needs Tor's control port, or a tor of its own (see lafs help tor)")
	}
	return nil
}

// Role is what the node says that it is once it runs: introducer or client.
func (c *Config) Role() string {
	if c.Introducer {
		return "introducer"
	}
	return "client"
}
