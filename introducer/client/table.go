package client

import (
	"maps"
	"slices"
	"strings"

	"lafs/introducer"
)

// A table is what one introducer told us, bounded. It is not safe for
// concurrent use.
type table struct {
	max     int             // servers that are not pinned
	pinned  map[string]bool // if not empty, the only ones taken
	entries map[string]introducer.Kept
	raws    map[string]bool // the raw announcements in entries
	refused int             // announcements refused since the start
	unsaved bool
}

func newTable(max int, pinned map[string]bool) *table {
	return &table{max: max, pinned: pinned, entries: make(map[string]introducer.Kept), raws: make(map[string]bool)}
}

// learn takes one announcement as it came and reports whether it is news.
func (t *table) learn(raw []byte, today int64) bool {
	if t.raws[string(raw)] {
		return false // Known: no need to verify it again.
	}
	a, err := introducer.Open(raw)
	if err != nil {
		t.refused++
		return false
	}
	return t.put(introducer.Kept{Announcement: a, Raw: slices.Clone(raw), Day: today}, today)
}

// put takes an announcement that was verified.
func (t *table) put(k introducer.Kept, today int64) bool {
	id := k.ServerID()
	old, known := t.entries[id]
	if known && k.Seqnum <= old.Seqnum {
		return false
	}
	if len(t.pinned) > 0 && !t.pinned[id] || t.tubTaken(k, today) || !known && !t.makeRoom(today) {
		t.refused++
		return false
	}
	delete(t.raws, string(old.Raw))
	t.entries[id] = k
	t.raws[string(k.Raw)] = true
	t.unsaved = true
	return true
}

// tubTaken reports whether another living server has the tub id: of two with
// one, which would get each other's secrets, the later is refused. One that
// has expired makes way.
func (t *table) tubTaken(k introducer.Kept, today int64) bool {
	for id, old := range t.entries {
		if old.TubID != k.TubID || id == k.ServerID() {
			continue
		}
		if !old.Expired(today) {
			return true
		}
		delete(t.entries, id)
		delete(t.raws, string(old.Raw))
	}
	return false
}

// makeRoom reports whether there is room for one more server, once those
// that have been silent longest made way. Living servers never do: a flood
// of new ones cannot push out those we know.
func (t *table) makeRoom(today int64) bool {
	if len(t.pinned) > 0 || len(t.entries) < t.max {
		return true
	}
	var oldest introducer.Kept
	for _, k := range t.entries {
		if k.Expired(today) && (oldest.Announcement == nil || k.Day < oldest.Day) {
			oldest = k
		}
	}
	if oldest.Announcement == nil {
		return false
	}
	delete(t.entries, oldest.ServerID())
	delete(t.raws, string(oldest.Raw))
	return true
}

// marshal returns the saved form.
func (t *table) marshal() []byte {
	return introducer.MarshalKept(slices.SortedFunc(maps.Values(t.entries), func(a, b introducer.Kept) int {
		return strings.Compare(a.ServerID(), b.ServerID())
	}))
}
