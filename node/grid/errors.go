package grid

import (
	"errors"
	"fmt"
	"strings"
)

// ErrSourceChanged is an upload whose input gave other bytes the second
// time: fewer, or more, than it said.
var ErrSourceChanged = errors.New("the input changed while it was being read")

// ErrDamaged is a file whose shares are whole but do not make the file that
// the cap names: whoever made it made it wrong.
var ErrDamaged = errors.New("the file was damaged when it was made; no share of it can help")

// An UnhappyError is an upload that could not be spread widely enough. Its
// text says what was found and which setting decides.
type UnhappyError struct {
	// Happiness is the highest that could be reached, Happy what was asked.
	Happiness, Happy int
	// Needed and Total are k and N.
	Needed, Total int
	// Known is how many servers are known.
	Known int
	// Reached names the servers that answered, Unreached those that did not
	// or failed, each with a reason.
	Reached, Unreached []string
}

// Error names the servers, the numbers and the setting.
func (e *UnhappyError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "the upload would put shares on too few servers: happiness %d, and shares.happy asks for %d", e.Happiness, e.Happy)
	switch {
	case e.Known == 0:
		b.WriteString("; no storage server is known yet: is the introducer reachable?")
	case len(e.Reached) == 0:
		fmt.Fprintf(&b, "; none of %d servers was reached", e.Known)
	default:
		fmt.Fprintf(&b, "; reached %d of %d servers: %s", len(e.Reached), e.Known, list(e.Reached))
	}
	if len(e.Unreached) > 0 {
		fmt.Fprintf(&b, "; not usable: %s", list(e.Unreached))
	}
	b.WriteString(". Wait for more servers, or lower shares.happy")
	return b.String()
}

// A NotEnoughSharesError is a download that found fewer good shares than the
// file needs.
type NotEnoughSharesError struct {
	// Found is how many different good shares were found, Needed and Total
	// are k and N.
	Found, Needed, Total int
	// Asked names the servers that were asked and answered, Unreached those
	// that did not or failed, Corrupt those that hold a corrupt share.
	Asked, Unreached, Corrupt []string
}

// Error says how many of how many, who was asked, and what to do.
func (e *NotEnoughSharesError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "found %d good shares, and the file needs %d of its %d", e.Found, e.Needed, e.Total)
	switch {
	case len(e.Asked)+len(e.Unreached) == 0:
		b.WriteString("; no storage server is known yet: is the introducer reachable?")
	case len(e.Asked) > 0:
		fmt.Fprintf(&b, "; answered: %s", list(e.Asked))
	}
	if len(e.Unreached) > 0 {
		fmt.Fprintf(&b, "; did not answer: %s", list(e.Unreached))
	}
	if len(e.Corrupt) > 0 {
		fmt.Fprintf(&b, "; corrupt shares at: %s", list(e.Corrupt))
	}
	b.WriteString(". Try again when more of the servers that hold it are up")
	return b.String()
}

// list joins names for a sentence and keeps it readable.
func list(names []string) string {
	const most = 20
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}
