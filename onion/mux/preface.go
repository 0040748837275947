package mux

import (
	"bytes"
	"fmt"
)

// A session starts, in both directions, with these bytes: a name, and the
// number of the format that follows. Neither side waits for the other's, so
// that they cost no round trip.
const (
	prefaceName   = "lafsmux"
	formatNumber  = 1
	prefaceLength = len(prefaceName) + 1
)

func checkPreface(b [prefaceLength]byte) error {
	if !bytes.Equal(b[:len(prefaceName)], []byte(prefaceName)) {
		return fmt.Errorf("%w: it sent something else", ErrFormat)
	}
	if n := b[len(prefaceName)]; n != formatNumber {
		return fmt.Errorf("%w: it speaks number %d, we speak %d; the older side needs a newer lafs", ErrFormat, n, formatNumber)
	}
	return nil
}
