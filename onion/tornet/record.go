package tornet

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// A Record is net.json: what others need to use the network, and what Down
// needs to end it.
type Record struct {
	// Ready is false while the network starts.
	Ready bool `json:"ready"`
	// Clients are the client tors.
	Clients []ClientTor `json:"clients"`
	// Torrc is the path of the fragment: see Net.TorrcFragment.
	Torrc string `json:"torrc"`
	// Seed is the path of the documents for a fast start: see Net.Seed.
	Seed string `json:"seed"`
	// DelayMS is the delay of a link, one way, in milliseconds.
	DelayMS float64 `json:"delay_ms"`

	MadeDir    bool            `json:"made_dir"`   // the network made its directory
	Supervised bool            `json:"supervised"` // the owner is a supervisor, which Down may end
	Owner      ProcessRecord   `json:"owner"`      // the process that started the tors
	Tors       []ProcessRecord `json:"tors"`
}

// A ProcessRecord names one process for good: the pid alone may pass to
// another one.
type ProcessRecord struct {
	Name    string `json:"name"`
	PID     int    `json:"pid"`
	Started string `json:"started"`
}

// ReadRecord reads the net.json of the network in dir.
func ReadRecord(dir string) (*Record, error) {
	b, err := os.ReadFile(filepath.Join(dir, recordFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no tor network there (no %s)", recordFile)
	}
	if err != nil {
		return nil, err
	}
	r := new(Record)
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("read %s: %w", recordFile, err)
	}
	return r, nil
}

// save writes net.json as the network stands.
func (n *Net) save(ready bool) error {
	own, err := startTime(os.Getpid())
	if err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return errClosed
	}
	r := Record{
		Ready:      ready,
		Clients:    []ClientTor{},
		Torrc:      n.TorrcFragment(),
		Seed:       n.Seed(),
		DelayMS:    float64(n.cfg.Delay) / float64(time.Millisecond),
		MadeDir:    n.madeDir,
		Supervised: n.supervised,
		Owner:      ProcessRecord{Name: "owner", PID: os.Getpid(), Started: own},
	}
	for _, p := range n.servers {
		r.Tors = append(r.Tors, p.record())
	}
	for _, c := range n.clients {
		r.Clients = append(r.Clients, c.tor)
		if c.proc != nil {
			r.Tors = append(r.Tors, c.proc.record())
		}
	}
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	// A reader sees the old record or the new one, never half of one.
	temp := n.path(recordTemp)
	if err := os.WriteFile(temp, append(b, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(temp, n.path(recordFile))
}

func (p *process) record() ProcessRecord {
	return ProcessRecord{Name: p.name, PID: p.pid, Started: p.started}
}
