package tor

import (
	"errors"
	"fmt"
)

// maxStreams is how many streams a client may have on one circuit to a
// service of ours. Our own clients have one; a Tahoe-LAFS client keeps a pool
// of connections on one circuit.
const maxStreams = 64

// A defence is a form of ADD_ONION: what stands after the key and before the
// ports. It is frozen, since filters before the control port match the whole
// line.
type defence struct {
	options string
	// text tells a person what Tor was asked for.
	text string
}

// defences are the forms, the strongest first. Tors without proof of work,
// and filters that know nothing of either, refuse a form, and are asked again
// with the next. Limits on introductions can be set in a torrc alone, for
// services that stand there, and not for those of a control port.
var defences = []defence{
	{fmt.Sprintf("Flags=DiscardPK,MaxStreamsCloseCircuit MaxStreams=%d PoWDefensesEnabled=1", maxStreams),
		fmt.Sprintf("proof of work under load, %d streams a circuit", maxStreams)},
	{fmt.Sprintf("Flags=DiscardPK,MaxStreamsCloseCircuit MaxStreams=%d", maxStreams),
		fmt.Sprintf("%d streams a circuit; this Tor knows no proof of work", maxStreams)},
	{"Flags=DiscardPK", "none: this Tor, or the filter before it, refuses them"},
}

// strongest asks for a service in the strongest form that is not refused, and
// remembers it: on a filter that logs what it refuses, the next service comes
// in a form that was accepted.
func (t *Tor) strongest(ask func(options string) error) error {
	for {
		t.mu.Lock()
		form := t.form
		t.mu.Unlock()
		// Before the request: it is told to be up before its answer comes.
		t.defended(form)
		err := ask(defences[form].options)
		var refused *refusal
		if !errors.As(err, &refused) || collision(refused) || form == len(defences)-1 {
			return err
		}
		t.mu.Lock()
		t.form = max(t.form, form+1)
		t.mu.Unlock()
	}
}

// defended notes in the status what a service has.
func (t *Tor) defended(form int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if text := defences[form].text; t.status.Defences != text {
		t.status.Defences = text
		t.change()
	}
}
