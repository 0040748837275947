package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"lafs/node/durable"
	"lafs/shares/caps"
	"lafs/shares/storage"
)

// maxAdvisories bounds the reports that are kept: whoever may read could
// fill the disk with one for every share otherwise.
const maxAdvisories = 10_000

// maxAdvisory is above the length of any report.
const maxAdvisory = 16 << 10

// An Advisory is what somebody reported of a share that is held: the last
// report of each share is kept.
type Advisory struct {
	Kind  string              `json:"kind"`
	Index caps.StorageIndex   `json:"-"`
	Name  string              `json:"storage_index"`
	Share storage.ShareNumber `json:"share"`
	Day   time.Time           `json:"day"`
	// Reason is the reporter's word, and may say anything.
	Reason string `json:"reason"`
}

// Advisories returns the reports in a storage directory, the oldest first.
// Whoever runs it may do so beside a running node.
func Advisories(dir string) ([]Advisory, error) {
	entries, err := os.ReadDir(filepath.Join(dir, "corruption-advisories"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, reason(err)
	}
	var out []Advisory
	for _, e := range entries {
		b, err := readFile(filepath.Join(dir, "corruption-advisories", e.Name()), maxAdvisory)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, reason(err)
		}
		if a, ok := parseAdvisory(e.Name(), string(b)); ok {
			out = append(out, a)
		}
	}
	slices.SortStableFunc(out, func(a, b Advisory) int { return a.Day.Compare(b.Day) })
	return out, nil
}

// advised counts the reports.
type advised struct {
	mu      sync.Mutex
	count   int       // guarded by mu
	counted time.Time // when it was; guarded by mu
}

// advisedAgain is how often the reports are counted again while there are
// too many: the operator, or collection, may have removed some.
const advisedAgain = time.Minute

// advise keeps a report. One too many is only logged.
func (s *Store) advise(a Advisory) error {
	dir, path := s.advisoriesDir(), s.advisoryPath(a.Index, a.Share)
	if err := durable.Mkdir(dir, 0o700); err != nil {
		return err
	}
	s.advised.mu.Lock()
	defer s.advised.mu.Unlock()
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		if room, err := s.roomToAdvise(dir); err != nil || !room {
			return err
		}
		s.advised.count++
	} else if err != nil {
		return err
	}
	if err := durable.WriteFile(path, []byte(a.text()), 0o600); err != nil {
		return err
	}
	return os.Chtimes(path, a.Day, a.Day)
}

// roomToAdvise says whether one report more may be kept. s.advised.mu is
// held.
func (s *Store) roomToAdvise(dir string) (bool, error) {
	now := s.cfg.Now()
	if s.advised.counted.IsZero() || s.advised.count >= maxAdvisories && now.Sub(s.advised.counted) >= advisedAgain {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return false, err
		}
		s.advised.count, s.advised.counted = len(entries), now
	}
	if s.advised.count < maxAdvisories {
		return true, nil
	}
	s.cfg.Log.Warn("too many reports of corrupt shares are kept: this one is not", "kept", s.advised.count)
	return false, nil
}

// text is what the file of a report holds.
func (a *Advisory) text() string {
	return fmt.Sprintf("%s share %d of %s\nreported: %s\nreason: %q\n", a.Kind, a.Share, a.Index, a.Day.Format(time.DateOnly), a.Reason)
}

// parseAdvisory reads a report that was written by text.
func parseAdvisory(name, text string) (a Advisory, ok bool) {
	si, number, _ := strings.Cut(name, ".")
	var err error
	if a.Index, err = caps.ParseStorageIndex(si); err != nil {
		return a, false
	}
	if a.Share, ok = parseNumber(number); !ok {
		return a, false
	}
	a.Name = si
	a.Kind, _, _ = strings.Cut(text, " ")
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch key {
		case "reported":
			a.Day, err = time.Parse(time.DateOnly, value)
		case "reason":
			a.Reason, err = strconv.Unquote(value)
		}
		if err != nil {
			return a, false
		}
	}
	return a, a.Kind == storage.Immutable.String() || a.Kind == storage.Mutable.String()
}
