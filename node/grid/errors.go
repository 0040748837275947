package grid

import (
	"errors"
	"fmt"
	"strings"

	"lafs/onion"
)

// ErrSourceChanged is an upload whose input gave other bytes the second
// time, or fewer, or more, than it said.
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
	// Placed is how many different shares could be placed; fewer than Needed
	// are no success whatever the happiness.
	Placed int
	// Known is how many servers are known.
	Known int
	// Network is what is wrong with the network itself, nil if nothing is
	// known to be.
	Network error
	// Reached names the servers that answered, Unreached those that did not
	// or failed, each with a reason.
	Reached, Unreached []string
}

// Error names the servers, the numbers and the setting.
func (e *UnhappyError) Error() string {
	var b strings.Builder
	writeNetwork(&b, e.Network)
	if e.Happiness < e.Happy {
		fmt.Fprintf(&b, "the upload would put shares on too few servers: happiness %d, and shares.happy asks for %d", e.Happiness, e.Happy)
	} else {
		fmt.Fprintf(&b, "the upload would place only %d shares, and the file can't be read with fewer than %d", e.Placed, e.Needed)
	}
	switch {
	case e.Known == 0:
		b.WriteString("; no storage server is known yet")
	case len(e.Reached) == 0:
		fmt.Fprintf(&b, "; none of %d servers was reached", e.Known)
	default:
		fmt.Fprintf(&b, "; reached %d of %d servers: %s", len(e.Reached), e.Known, list(e.Reached))
	}
	if len(e.Unreached) > 0 {
		fmt.Fprintf(&b, "; not usable: %s", list(e.Unreached))
	}
	switch {
	case e.Network != nil:
	case e.Known == 0:
		b.WriteString(unknownServers)
	case e.Happiness < e.Happy:
		b.WriteString(". Wait for more servers, or lower [client] shares.happy in tahoe.cfg and start the node again")
	default:
		b.WriteString(". Wait for more servers")
	}
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
	// Network is what is wrong with the network itself, nil if nothing is
	// known to be.
	Network error
}

// Error says how many of how many, who was asked, and what to do.
func (e *NotEnoughSharesError) Error() string {
	var b strings.Builder
	writeNetwork(&b, e.Network)
	fmt.Fprintf(&b, "found %d good shares, and the file needs %d of its %d", e.Found, e.Needed, e.Total)
	switch {
	case len(e.Asked)+len(e.Unreached) == 0:
		b.WriteString("; no storage server is known yet")
	case len(e.Asked) > 0:
		fmt.Fprintf(&b, "; answered: %s", list(e.Asked))
	}
	if len(e.Unreached) > 0 {
		fmt.Fprintf(&b, "; did not answer: %s", list(e.Unreached))
	}
	if len(e.Corrupt) > 0 {
		fmt.Fprintf(&b, "; corrupt shares at: %s", list(e.Corrupt))
	}
	switch {
	case e.Network != nil:
	case len(e.Asked)+len(e.Unreached) == 0:
		b.WriteString(unknownServers)
	default:
		b.WriteString(". Try again when more of the servers that hold it are up")
		if e.Found == 0 && len(e.Unreached) == 0 {
			b.WriteString("; if all are, look whether the cap was mistyped")
		}
	}
	return b.String()
}

// unknownServers ends a text where no storage server is known.
const unknownServers = ". Wait until an introducer was reached (lafs status shows how it is doing)"

// networkError is what is wrong with the network if known, or what a request
// has just met.
func networkError(known, met error) error {
	if known == nil && errors.Is(met, onion.ErrTorDown) {
		return onion.ErrTorDown
	}
	return known
}

// writeNetwork begins a text with what is wrong with the network, since all
// else follows from it, and with what to do.
func writeNetwork(b *strings.Builder, err error) {
	if err != nil {
		fmt.Fprintf(b, "%v. Try again when it is back; if it does not come back, start it again (lafs status shows how it is doing). So far: ", err)
	}
}

// list joins names for a sentence and keeps it readable.
func list(names []string) string {
	const most = 20
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}
