package dirnode

import (
	"fmt"
	"slices"
	"strings"
)

// maxEntries bounds what a directory costs to read: entries of a few bytes
// take some hundred each.
const maxEntries = 1 << 20

var errTooManyEntries = fmt.Errorf("%w entries in one directory: at most %d", ErrTooMany, maxEntries)

// A content is a directory's content cut into entries: enough to find and
// change some of them without looking into the others.
type content struct {
	// lines are sorted by key; those with one key stay in the order in which
	// they are written.
	lines []line
}

// A line is one entry, and where it is written.
type line struct {
	raw
	key string // the name, normalized
	// text is the entry with its frame, as it is written.
	text []byte
}

// parse cuts content into entries. It aliases data. Errors match ErrCorrupt or
// ErrTooMany.
func parse(data []byte) (*content, error) {
	c := &content{}
	sorted := true
	for len(data) > 0 {
		body, rest, err := cutNetstring(data)
		if err != nil {
			return nil, err
		}
		r, err := parseRaw(body)
		if err != nil {
			return nil, err
		}
		if len(c.lines) == maxEntries {
			return nil, errTooManyEntries
		}
		l := line{raw: r, key: nameKey(string(r.name)), text: data[:len(data)-len(rest)]}
		if n := len(c.lines); n > 0 && c.lines[n-1].key > l.key {
			sorted = false
		}
		c.lines = append(c.lines, l)
		data = rest
	}
	if !sorted {
		slices.SortStableFunc(c.lines, func(a, b line) int { return strings.Compare(a.key, b.key) })
	}
	return c, nil
}

// find returns the entry of a key: the last one, if there are several.
func (c *content) find(key string) (line, bool) {
	end, _ := slices.BinarySearchFunc(c.lines, key, func(l line, key string) int {
		if l.key <= key {
			return -1
		}
		return 1
	})
	if end == 0 || c.lines[end-1].key != key {
		return line{}, false
	}
	return c.lines[end-1], true
}

// A change puts text at the place of whatever has the key; nil text leaves
// nothing there.
type change struct {
	key  string
	text []byte
}

// sortChanges brings changes into the order that apply wants.
func sortChanges(changes []change) error {
	slices.SortFunc(changes, func(a, b change) int { return strings.Compare(a.key, b.key) })
	for i := range changes {
		if i > 0 && changes[i].key == changes[i-1].key {
			return fmt.Errorf("%w: two are the same once normalized", ErrName)
		}
	}
	return nil
}

// apply returns the content with the changes, which are sorted by key. What
// they do not touch stays as it is, byte for byte.
func (c *content) apply(changes []change) []byte {
	size := 0
	for _, l := range c.lines {
		size += len(l.text)
	}
	for _, ch := range changes {
		size += len(ch.text)
	}
	out := make([]byte, 0, size)
	for _, l := range c.lines {
		for len(changes) > 0 && changes[0].key < l.key {
			out = append(out, changes[0].text...)
			changes = changes[1:]
		}
		if len(changes) == 0 || changes[0].key != l.key {
			out = append(out, l.text...)
		}
	}
	for _, ch := range changes {
		out = append(out, ch.text...)
	}
	return out
}
