package gateway

import (
	"fmt"
	"testing"
)

// FuzzParseRange checks that a range is inside the file, and that its plain
// form is read back as itself.
func FuzzParseRange(f *testing.F) {
	for _, s := range []string{"bytes=0-0", "bytes=-1", "bytes=5-", "bytes=9-3", "bytes=0-1,2-3", "bytes=99999999999999999999-"} {
		f.Add(s, int64(10))
	}
	f.Fuzz(func(t *testing.T, header string, size int64) {
		if size < 0 {
			return
		}
		offset, length, ok := parseRange(header, size)
		if offset < 0 || length < 0 || offset > size || length > size-offset {
			t.Fatalf("parseRange(%q, %d) = %d, %d: not in the file", header, size, offset, length)
		}
		if !ok || length == 0 {
			return
		}
		o, l, ok := parseRange(fmt.Sprintf("bytes=%d-%d", offset, offset+length-1), size)
		if o != offset || l != length || !ok {
			t.Errorf("round trip of %q: got %d, %d, want %d, %d", header, o, l, offset, length)
		}
	})
}
