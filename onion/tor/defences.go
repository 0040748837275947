package tor

import (
	"errors"
	"fmt"

	"lafs/onion"
)

// maxStreams is how many streams a client may have on one circuit to a
// service of ours. Our own clients have one; a Tahoe-LAFS client keeps a pool
// of connections on one circuit.
const maxStreams = 64

// introRate is how many clients a second Tor lets in to a service of ours
// when more ask, those first who have worked most, and introBurst how many at
// once after a rest. Each costs Tor 2.5 ms of a fast core (measured), so that
// its own 250 would be all that a small machine has. A server has 1536
// sessions at most, and each lasts for minutes.
const introRate, introBurst = 50, 500

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
// with the next. Introductions can be limited at the relays too, but in a
// torrc alone, for services that stand there.
var defences = []defence{
	{fmt.Sprintf("Flags=DiscardPK,MaxStreamsCloseCircuit MaxStreams=%d PoWDefensesEnabled=1 PoWQueueRate=%d PoWQueueBurst=%d", maxStreams, introRate, introBurst),
		fmt.Sprintf("%d streams a circuit; proof of work above %d introductions a second, if this Tor was built with it", maxStreams, introRate)},
	{fmt.Sprintf("Flags=DiscardPK,MaxStreamsCloseCircuit MaxStreams=%d", maxStreams),
		fmt.Sprintf("%d streams a circuit; this Tor knows no proof of work", maxStreams)},
	{"Flags=DiscardPK", "none: this Tor, or the filter before it, refuses them"},
}

// provenWork is the text of the first form where Tor is known to have it. A
// Tor that was built without it need not refuse to be asked for it.
var provenWork = fmt.Sprintf("%d streams a circuit; proof of work above %d introductions a second", maxStreams, introRate)

// askFor returns the form in which s is asked, and what a person is told of
// it.
func (t *Tor) askFor(s *session) (form int, text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	form = t.form
	if s.work == onion.No {
		form = max(form, 1)
	}
	if form == 0 && s.work == onion.Yes {
		return form, provenWork
	}
	return form, defences[form].text
}

// strongest asks s for a service in the strongest form that is not refused,
// and remembers it: on a filter that logs what it refuses, the next service
// comes in a form that was accepted.
func (t *Tor) strongest(s *session, ask func(options string) error) error {
	for {
		form, text := t.askFor(s)
		// Before the request: it is told to be up before its answer comes.
		t.defended(text)
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
func (t *Tor) defended(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.status.Defences != text {
		t.status.Defences = text
		t.change()
	}
}
