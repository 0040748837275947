package dirnode

import (
	"fmt"
	"strconv"
)

// maxDigits is enough for the length of anything that fits in memory.
const maxDigits = 12

func appendNetstring(dst, value []byte) []byte {
	dst = strconv.AppendInt(dst, int64(len(value)), 10)
	dst = append(dst, ':')
	dst = append(dst, value...)
	return append(dst, ',')
}

// netstringSize is the size of a netstring of length bytes.
func netstringSize(length int) int { return len(strconv.Itoa(length)) + length + 2 }

// cutNetstring reads the first netstring of b. Its length is written in one
// way only.
func cutNetstring(b []byte) (value, rest []byte, err error) {
	length, digits := 0, 0
	for digits < len(b) && digits < maxDigits && '0' <= b[digits] && b[digits] <= '9' {
		length = length*10 + int(b[digits]-'0')
		digits++
	}
	if digits == 0 || digits > 1 && b[0] == '0' || digits == len(b) || b[digits] != ':' {
		return nil, nil, fmt.Errorf("%w: the length of a netstring is missing", ErrCorrupt)
	}
	b = b[digits+1:]
	if length >= len(b) || b[length] != ',' {
		return nil, nil, fmt.Errorf("%w: a netstring is cut", ErrCorrupt)
	}
	return b[:length], b[length+1:], nil
}
