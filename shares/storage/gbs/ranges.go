package gbs

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// parseRange reads "bytes=a-b" and returns [a, b+1). Other forms that HTTP
// knows are not of this protocol.
func parseRange(h string) (begin, end int64, ok bool) {
	rest, ok := strings.CutPrefix(h, "bytes=")
	if !ok {
		return 0, 0, false
	}
	return parseSpan(rest)
}

// parseContentRange reads "bytes a-b/*" or "bytes a-b/total".
func parseContentRange(h string) (begin, end int64, ok bool) {
	rest, ok := strings.CutPrefix(h, "bytes ")
	if !ok {
		return 0, 0, false
	}
	span, total, ok := strings.Cut(rest, "/")
	if !ok {
		return 0, 0, false
	}
	if begin, end, ok = parseSpan(span); !ok {
		return 0, 0, false
	}
	if total == "*" {
		return begin, end, true
	}
	n, ok := parseOffset(total)
	return begin, end, ok && end <= n
}

func parseSpan(s string) (begin, end int64, ok bool) {
	first, last, ok := strings.Cut(s, "-")
	if !ok {
		return 0, 0, false
	}
	begin, ok1 := parseOffset(first)
	end, ok2 := parseOffset(last)
	if !ok1 || !ok2 || end < begin || end == math.MaxInt64 {
		return 0, 0, false
	}
	return begin, end + 1, true
}

func parseOffset(s string) (int64, bool) {
	n, err := strconv.ParseUint(s, 10, 63)
	return int64(n), err == nil && len(s) <= 19
}

func formatRange(begin, end int64) string { return fmt.Sprintf("bytes=%d-%d", begin, end-1) }

func formatContentRange(begin, end int64) string { return fmt.Sprintf("bytes %d-%d/*", begin, end-1) }
