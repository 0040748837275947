package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"gopkg.in/yaml.v3"

	"lafs/introducer"
	"lafs/node/durable"
	"lafs/onion/door"
	"lafs/shares/caps"
)

// doorKeyFile is where a storage server of ours keeps its TLS key.
func (d Dir) doorKeyFile() string { return d.path("private", "storage-tls.pem") }

// ensureDoor reads a TLS key, and makes the file with a new one when there is
// none. The answer is durable.
func ensureDoor(path string) (*door.Identity, error) {
	text, err := readSmall(path, maxSmallFile)
	if err == nil {
		if err := os.Chmod(path, fileMode); err != nil {
			return nil, err
		}
		return door.Parse(text)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	fresh, err := door.Generate()
	if err != nil {
		return nil, err
	}
	if text, err = fresh.Marshal(); err != nil {
		return nil, err
	}
	return fresh, durable.WriteFile(path, text, fileMode)
}

// doorOf says where the second door is, and by which key it is known.
func (s *secrets) doorOf(c *Config) (*introducer.Door, error) {
	a, err := s.place.Addr(c.TahoePort)
	if err != nil {
		return nil, err
	}
	return &introducer.Door{Address: a, Pin: s.door.Pin()}, nil
}

// ErrNoStorage is a node that is no storage server.
var ErrNoStorage = errors.New("this node is no storage server: see lafs create-node --help, or set [storage] enabled = true in tahoe.cfg")

// tahoeServers is private/servers.yaml as a Tahoe-LAFS client reads it.
type tahoeServers struct {
	Storage map[string]tahoeServer `yaml:"storage"`
}

type tahoeServer struct {
	Ann tahoeAnnouncement `yaml:"ann"`
}

// A tahoeAnnouncement has what Tahoe-LAFS's client reads of an announcement
// (FORMATS.md section 11).
type tahoeAnnouncement struct {
	FURL     string   `yaml:"anonymous-storage-FURL"`
	NURLs    []string `yaml:"anonymous-storage-NURLs"`
	Nickname string   `yaml:"nickname"`
	Seed     string   `yaml:"permutation-seed-base32"`
	Service  string   `yaml:"service-name"`
}

// TahoeServersYAML returns what a Tahoe-LAFS client needs in its
// private/servers.yaml to store on this node. Secret: whoever has it may
// store here.
func (c *Config) TahoeServersYAML() ([]byte, error) {
	if !c.Storage {
		return nil, ErrNoStorage
	}
	s := c.secrets
	d, err := s.doorOf(c)
	if err != nil {
		return nil, err
	}
	sw, err := introducer.NewSwissnum(s.swissnum.Reveal())
	if err != nil {
		return nil, err
	}
	id := introducer.NewServerID(s.public())
	return yaml.Marshal(tahoeServers{map[string]tahoeServer{id: {tahoeAnnouncement{
		// Of the FURL, Tahoe-LAFS's client reads only the tub id where there
		// is a NURL.
		FURL:     fmt.Sprintf("pb://%s@tor:%s/%s", caps.Encoding.EncodeToString(s.tubID[:]), d.Address, sw.Reveal()),
		NURLs:    []string{introducer.NewNURL(*d, sw).Reveal()},
		Nickname: c.Nickname,
		Seed:     caps.Encoding.EncodeToString(s.seed),
		Service:  "storage",
	}}}})
}
