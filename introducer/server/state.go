package server

import (
	"cmp"
	"errors"
	"maps"
	"slices"

	"lafs/introducer"
)

// maxBytes bounds all announcements together: what a subscriber is sent at
// first, and what one Save writes.
const maxBytes = 2 << 20

// A state is the newest announcement of each server. Once it is the Server's
// it is not changed: a change is a new state.
type state struct {
	entries map[string]entry // by server id
	// last is the highest revision. Revisions number the changes since the
	// program started; a subscriber has seen all up to one of them.
	last uint64
}

type entry struct {
	introducer.Kept
	revision uint64
}

// newState takes what was saved.
func newState(list []introducer.Kept) state {
	s := state{entries: make(map[string]entry)}
	for _, k := range list {
		s.last++
		s.entries[k.ServerID()] = entry{k, s.last}
	}
	return s
}

// get returns a server's announcement unless it has expired.
func (s state) get(id string, today int64) (introducer.Kept, bool) {
	e, ok := s.entries[id]
	return e.Kept, ok && !e.Expired(today)
}

// live counts the announcements that have not expired.
func (s state) live(today int64) int { return len(s.since(0, today)) }

// since returns the announcements with a revision above rev, in the order in
// which they came.
func (s state) since(rev uint64, today int64) []entry {
	var found []entry
	for _, e := range s.entries {
		if e.revision > rev && !e.Expired(today) {
			found = append(found, e)
		}
	}
	slices.SortFunc(found, func(a, b entry) int { return cmp.Compare(a.revision, b.revision) })
	return found
}

// errFull is a state with no room for one more server.
var errFull = errors.New("the introducer knows as many servers as it can")

// with returns the state with one announcement put in its place, and without
// those that have expired.
func (s state) with(k introducer.Kept, maxServers int) (state, error) {
	next := state{maps.Clone(s.entries), s.last + 1}
	maps.DeleteFunc(next.entries, func(_ string, old entry) bool { return old.Expired(k.Day) })
	next.entries[k.ServerID()] = entry{k, next.last}
	size := 0
	for _, e := range next.entries {
		size += len(e.Raw)
	}
	if len(next.entries) > maxServers || size > maxBytes {
		return state{}, errFull
	}
	return next, nil
}

// marshal returns the saved form.
func (s state) marshal() []byte {
	var list []introducer.Kept
	for _, id := range slices.Sorted(maps.Keys(s.entries)) {
		list = append(list, s.entries[id].Kept)
	}
	return introducer.MarshalKept(list)
}
