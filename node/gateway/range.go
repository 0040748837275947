package gateway

import (
	"strconv"
	"strings"
)

// parseRange reads a header Range for a file of size bytes. Tahoe and we
// serve one range; what asks for several, or is not understood, gets the
// whole file (RFC 9110, section 14.2), and ok is false. With ok, length 0
// means that no byte of the range is in the file.
func parseRange(header string, size int64) (offset, length int64, ok bool) {
	spec, ok := strings.CutPrefix(header, "bytes=")
	first, last, dash := strings.Cut(spec, "-")
	if !ok || !dash || size == 0 {
		return 0, 0, false
	}
	if first == "" { // the last so many bytes
		n, ok := parseOffset(last)
		if !ok {
			return 0, 0, false
		}
		n = min(n, size)
		return size - n, n, true
	}
	offset, ok = parseOffset(first)
	if !ok {
		return 0, 0, false
	}
	end := size
	if last != "" {
		inclusive, ok := parseOffset(last)
		if !ok || inclusive < offset {
			return 0, 0, false
		}
		if inclusive < size {
			end = inclusive + 1
		}
	}
	if offset >= size {
		return 0, 0, true
	}
	return offset, end - offset, true
}

// parseOffset reads digits. What is beyond any file counts as the largest
// number.
func parseOffset(s string) (int64, bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 1<<63 - 1, true
	}
	return n, true
}
