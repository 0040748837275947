package node

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"sync"

	"lafs/introducer"
	introserver "lafs/introducer/server"
	"lafs/node/durable"
)

// maxState bounds what is read back of an introducer's announcements or of
// a cache of them, in bytes.
const maxState = 64 << 20

// buildIntroducer makes the node an introducer.
func (n *Node) buildIntroducer() error {
	s, err := introserver.New(introserver.Config{
		Store:         stateFile(n.cfg.Dir.announcementsFile()),
		PublishSecret: n.cfg.secrets.publish,
		Log:           n.log,
		Now:           n.deps.Now,
	})
	if err != nil {
		return err
	}
	n.introducer = s
	n.publish("introducer", s.Handler(), nil)
	return nil
}

// A stateFile keeps an introducer's announcements.
type stateFile string

func (f stateFile) Load() ([]byte, error) { return readIfThere(string(f), maxState) }

func (f stateFile) Save(state []byte) error {
	return durable.WriteFile(string(f), state, fileMode)
}

// A cacheDir keeps what a client learnt of each introducer.
type cacheDir Dir

func (d cacheDir) Load(petname string) ([]byte, error) {
	return readIfThere(Dir(d).cacheFile(petname), maxState)
}

func (d cacheDir) Save(petname string, text []byte) error {
	return durable.WriteFile(Dir(d).cacheFile(petname), text, fileMode)
}

func readIfThere(path string, limit int64) ([]byte, error) {
	b, err := readSmall(path, limit)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return b, err
}

// A seqnumFile counts our announcements in announcement-seqnum.
type seqnumFile struct {
	path string
	mu   sync.Mutex // held from reading the file to writing it
}

// Next returns a number above the given one and every earlier one, durable
// before it is used.
func (s *seqnumFile) Next(above uint64) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var last uint64
	line, err := readLine(s.path)
	if err == nil {
		last, err = strconv.ParseUint(line, 10, 64)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("announcement-seqnum is damaged: %w", err)
	}
	next := max(last, above) + 1
	if next > introducer.MaxSeqnum {
		return 0, errors.New("announcement-seqnum has reached its end")
	}
	if err := durable.WriteFile(s.path, []byte(strconv.FormatUint(next, 10)+"\n"), fileMode); err != nil {
		return 0, err
	}
	return next, nil
}

// announcement signs what we say of our own storage server.
func (n *Node) announcement(seqnum uint64) ([]byte, error) {
	s := n.cfg.secrets
	sw, err := introducer.NewSwissnum(s.swissnum.Reveal())
	if err != nil {
		return nil, err
	}
	door, err := s.doorOf(n.cfg)
	if err != nil {
		return nil, err
	}
	return introducer.Sign(&introducer.Announcement{
		Door:            door,
		Seqnum:          seqnum,
		Address:         s.addr,
		Swissnum:        sw,
		Tub:             s.tub,
		PermutationSeed: s.seed,
		Nickname:        n.cfg.Nickname,
		Protocols:       []int{introducer.ProtocolGBS},
	}, s.key, s.place)
}
