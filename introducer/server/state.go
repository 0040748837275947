package server

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"lafs/introducer"
)

const (
	secondsPerDay = 24 * 60 * 60
	expireDays    = int64(introducer.ExpireAfter / (secondsPerDay * time.Second))
	// maxBytes bounds all announcements together: what a subscriber is sent
	// at first, and what one Save writes.
	maxBytes = 2 << 20
)

// A state is the newest announcement of each server. Once it is the Server's
// it is not changed: a change is a new state.
type state struct {
	entries map[string]entry // by server id
	// last is the highest revision. Revisions number the changes since the
	// program started; a subscriber has seen all up to one of them.
	last uint64
}

type entry struct {
	raw      []byte
	seqnum   uint64
	day      int64 // when it came, in days since 1970
	revision uint64
}

func (e entry) expired(today int64) bool { return today-e.day > expireDays }

// live counts the entries that have not expired.
func (s state) live(today int64) int {
	n := 0
	for _, e := range s.entries {
		if !e.expired(today) {
			n++
		}
	}
	return n
}

// since returns the announcements with a revision above rev, in the order in
// which they came.
func (s state) since(rev uint64, today int64) [][]byte {
	var found []entry
	for _, e := range s.entries {
		if e.revision > rev && !e.expired(today) {
			found = append(found, e)
		}
	}
	slices.SortFunc(found, func(a, b entry) int { return cmp.Compare(a.revision, b.revision) })
	out := make([][]byte, len(found))
	for i, e := range found {
		out[i] = e.raw
	}
	return out
}

// errFull is a state with no room for one more server.
var errFull = errors.New("the introducer knows as many servers as it can")

// with returns the state with one announcement put in its place, and without
// those that have expired.
func (s state) with(id string, e entry, today int64, maxServers int) (state, error) {
	next := state{maps.Clone(s.entries), s.last + 1}
	maps.DeleteFunc(next.entries, func(_ string, old entry) bool { return old.expired(today) })
	e.revision = next.last
	next.entries[id] = e
	size := 0
	for _, e := range next.entries {
		size += len(e.raw)
	}
	if len(next.entries) > maxServers || size > maxBytes {
		return state{}, errFull
	}
	return next, nil
}

// The saved form: a line that names the format, then a line for each
// announcement, with the day on which it came before it.
const stateHeader = "lafs introducer state 1\n"

func (s state) marshal() []byte {
	var b bytes.Buffer
	b.WriteString(stateHeader)
	for _, id := range slices.Sorted(maps.Keys(s.entries)) {
		e := s.entries[id]
		fmt.Fprintf(&b, "%d %s\n", e.day, e.raw)
	}
	return b.Bytes()
}

// parseState reads what marshal wrote. Lines that do not verify are counted
// and left out.
func parseState(text []byte) (s state, dropped int, err error) {
	s.entries = make(map[string]entry)
	if len(text) == 0 {
		return s, 0, nil
	}
	text, ok := bytes.CutPrefix(text, []byte(stateHeader))
	if !ok {
		return state{}, 0, errors.New("read introducer's state: it is damaged or from a newer version of lafs")
	}
	for line := range bytes.Lines(text) {
		line, whole := bytes.CutSuffix(line, []byte("\n"))
		day, raw, _ := bytes.Cut(line, []byte(" "))
		came, err := strconv.ParseInt(string(day), 10, 64)
		if err != nil || !whole {
			dropped++
			continue
		}
		a, err := introducer.Open(raw)
		if err != nil {
			dropped++
			continue
		}
		s.last++
		s.entries[a.ServerID()] = entry{bytes.Clone(raw), a.Seqnum, came, s.last}
	}
	return s, dropped, nil
}
