package introducer

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// A Kept is a signed announcement with the day on which its holder got it:
// what introducers and clients keep on disk. Days, not seconds, are kept,
// since the file may be seized.
type Kept struct {
	*Announcement
	Raw []byte
	Day int64 // since 1970, by the holder's Calendar
}

// Day counts t's days since 1970.
func Day(t time.Time) int64 { return t.Unix() / secondsPerDay }

// Expired reports whether more than ExpireAfter has passed since k came.
func (k Kept) Expired(today int64) bool {
	return today-k.Day > int64(ExpireAfter/(secondsPerDay*time.Second))
}

const (
	secondsPerDay = 24 * 60 * 60
	keptHeader    = "lafs announcements 1\n"
)

// MarshalKept writes announcements for a file: a line that names the format,
// then one line for each, with its day before it. The file holds swissnums,
// so its mode is 0600.
func MarshalKept(list []Kept) []byte {
	b := bytes.NewBufferString(keptHeader)
	for _, k := range list {
		fmt.Fprintf(b, "%d %s\n", k.Day, k.Raw)
	}
	return b.Bytes()
}

// ParseKept reads what MarshalKept wrote and verifies each announcement.
// Those that do not verify are counted and left out, as is a second one of a
// server. No text at all is no announcements. An error is a text in another
// format.
func ParseKept(text []byte) (list []Kept, dropped int, err error) {
	if len(text) == 0 {
		return nil, 0, nil
	}
	text, ok := bytes.CutPrefix(text, []byte(keptHeader))
	if !ok {
		return nil, 0, errors.New("read kept announcements: the file is damaged or from a newer version of lafs")
	}
	seen := make(map[string]bool)
	for line := range bytes.Lines(text) {
		k, ok := parseKeptLine(line)
		if !ok || seen[k.ServerID()] {
			dropped++
			continue
		}
		seen[k.ServerID()] = true
		list = append(list, k)
	}
	return list, dropped, nil
}

func parseKeptLine(line []byte) (Kept, bool) {
	line, whole := bytes.CutSuffix(line, []byte("\n"))
	text, raw, ok := bytes.Cut(line, []byte(" "))
	day, err := strconv.ParseInt(string(text), 10, 64)
	if !whole || !ok || err != nil {
		return Kept{}, false
	}
	a, err := Open(raw)
	if err != nil {
		return Kept{}, false
	}
	return Kept{a, bytes.Clone(raw), day}, true
}
