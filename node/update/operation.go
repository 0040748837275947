package update

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"lafs/node/grid"
	"lafs/shares/agree"
	"lafs/shares/caps"
	"lafs/shares/mutable"
	"lafs/shares/storage"
)

const (
	// starvedRounds without a quorum end an operation, if they took
	// starvedTime: the way to a server that was just down or that is new
	// takes Tor tens of seconds.
	starvedRounds = 5
	starvedTime   = 30 * time.Second
	// politeRounds is how often an operation gives way to another writer
	// before it takes a classic ballot all the same.
	politeRounds = 3
	// politeInAll is how often it does, whoever that is.
	politeInAll = 12
)

// An operation carries out one batch of changes: UPDATES.md, section 4. It
// is used by one goroutine.
type operation struct {
	e     *Engine
	o     *object
	w     *caps.MutableWriter
	batch []*change

	l       *layout
	servers []grid.Server

	// base is the chosen version that a fast write can be built on, in
	// ballot; nil if it is not known. fresh: servers said so in this
	// operation.
	base   *version
	ballot agree.Ballot
	fresh  bool

	// open are the versions sent out that may yet be chosen. One is dropped
	// only when it is known that it never can.
	open []*attempt

	maxN, maxSeq uint64
	said         map[string]uint64 // the highest ballot number that each server spoke of
	tries        int
	starved      int       // rounds without a quorum, in a row
	starvedSince time.Time // the first of them
	polite       int
	gaveWay      int          // times in all
	last         agree.Ballot // the highest seen when it last gave way
	failed       int          // classic ballots
	notBefore    time.Time    // of the next classic ballot
	contended    bool         // another writer was met
	outdated     bool         // servers speak of a newer placement list than l
	round        time.Duration
	asked        time.Time // when the step under way began
	reason       error
	finished     bool
	barred       map[string]bool // servers, by id, that refused the write enabler
	// Of a repair, which has no batch.
	repairing bool
	mends     int             // rounds begun
	gone      map[string]bool // servers, by id, that are taken for lost
	voted     []*answer       // to the last votes asked for
	failure   error
}

// starve counts a round without a quorum.
func (op *operation) starve() {
	if op.starved == 0 {
		op.starvedSince = time.Now()
	}
	op.starved++
}

// run goes on until every change has its result.
func (op *operation) run(ctx context.Context) {
	op.l = op.o.place()
	op.base, op.ballot = op.o.known()
	for !op.finished {
		if ctx.Err() != nil {
			op.giveUp(op.e.closedOr(context.Cause(ctx)))
			return
		}
		if op.l != nil && op.shut() {
			op.giveUp(ErrBarred)
			return
		}
		if op.starved >= starvedRounds && time.Since(op.starvedSince) >= starvedTime {
			op.giveUp(op.reason)
			return
		}
		if op.l != nil {
			op.servers = op.e.servers(op.l)
		}
		op.asked = time.Now()
		switch few := op.l != nil && op.e.trusted(op.servers) < op.l.quorums.Fast; {
		case op.outdated:
			op.outdated, op.base = false, nil
			op.slow(ctx)
		case op.repairing && op.l != nil:
			op.mend(ctx)
		case op.base != nil && len(op.open) == 0 && !few:
			op.fast(ctx)
		case few && (op.tries == 0 || op.base != nil):
			// A write in one step would fail: the promises tell the newest
			// version as well.
			op.base = nil
			op.classic(ctx)
		default:
			op.slow(ctx)
		}
		if op.tries++; op.tries%8 == 0 && !op.finished {
			op.poll(ctx) // whatever happens, it must not spin
		}
	}
}

// shut says that so many servers of the list refuse the write enabler, which
// they do for good, that the others are no quorum.
func (op *operation) shut() bool {
	n := 0
	for _, s := range op.servers {
		if op.barred[s.ID] {
			n++
		}
	}
	return n > 0 && len(op.servers)-n < op.l.quorums.Classic
}

// giveUp ends all changes.
func (op *operation) giveUp(reason error) {
	op.finished, op.failure = true, reason
	op.o.doubt()
	for _, c := range op.batch {
		why := reason
		if err := c.ctx.Err(); err != nil && op.e.ctx.Err() == nil {
			why = errors.Join(err, op.reason)
		}
		if len(op.open) > 0 {
			c.finish(&UnknownOutcomeError{why})
		} else {
			c.finish(&NotDoneError{why})
		}
	}
}

// deliver ends all changes with results.
func (op *operation) deliver(results []error) {
	op.finished = true
	for i, c := range op.batch {
		c.finish(results[i])
	}
}

// fast tries to write in one step on top of base.
func (op *operation) fast(ctx context.Context) {
	data, results, changed, failed := op.build(op.base)
	if !changed || failed {
		if !op.fresh {
			// The base is remembered: it may not be the newest any more, and
			// what fails on it, or leaves it as it is, might not.
			op.base = nil
			op.o.doubt()
			return
		}
		if !changed {
			op.deliver(results)
			return
		}
	}
	a, err := op.attempt(op.base, data, results, op.ballot.Next())
	if err != nil {
		op.giveUp(err)
		return
	}
	base, ballot, replaced := op.base, op.ballot, op.replaced(op.base)
	op.base, op.fresh = nil, false
	op.o.doubt()
	request := func(i int) storage.SlotRequest {
		req := op.install(i, agree.Fast{Old: base.id, Ballot: ballot, New: a.id}, a.version, op.l)
		if replaced != nil {
			t := op.l.voters[i]
			req.Replaced = func() map[storage.ShareNumber][]byte { return replaced().sharesOf(t) }
		}
		return req
	}
	answers := op.send(ctx, op.l.quorums.Fast, request)
	if replaced != nil && yes(answers) < op.l.quorums.Fast {
		answers = op.supply(ctx, answers, request, replaced)
	}
	// Who was refused somewhere has met another writer.
	op.contended = op.contended || refused(answers) > 0
	if yes(answers) >= op.l.quorums.Fast {
		op.chosen(a.version, a.order, true)
		op.ack(a)
		return
	}
	if refused(answers) == len(op.servers) {
		// All have said no: nobody holds it, and nobody ever will.
		op.open = nil
	}
}

// supply asks the servers again that would have voted if they still had the
// shares of the version that is replaced, which were collected, and brings
// those. It returns answers with theirs in place.
func (op *operation) supply(ctx context.Context, answers []*answer, request func(i int) storage.SlotRequest, replaced func() *version) []*answer {
	all := op.servers
	var lacking []int
	for i, s := range all {
		if slices.ContainsFunc(answers, func(a *answer) bool { return a.server.ID == s.ID && a.err == nil && a.Missing }) {
			lacking = append(lacking, i)
		}
	}
	if yes(answers)+len(lacking) < op.l.quorums.Fast {
		return answers
	}
	var servers []grid.Server
	for _, i := range lacking {
		servers = append(servers, all[i])
	}
	base := replaced()
	again := op.e.ask(ctx, round{si: op.o.si, servers: servers, least: len(servers) + 1,
		request: func(i int) storage.SlotRequest {
			req := request(lacking[i])
			req.Base = base.sharesOf(op.l.voters[lacking[i]])
			return req
		},
		enough: func(again []*answer) bool { return yes(answers)+yes(again) >= op.l.quorums.Fast }})
	op.noticed(again)
	// What they said first means nothing now, even where the second answer
	// has not come.
	out := slices.DeleteFunc(slices.Clone(answers), func(a *answer) bool {
		return slices.ContainsFunc(servers, func(s grid.Server) bool { return s.ID == a.server.ID })
	})
	return append(out, again...)
}

// replaced returns what makes the shares of a version that is about to be
// replaced, once for all servers that ask; nil where there is none. Those
// that ask are servers that cannot keep their own.
func (op *operation) replaced(base *version) func() *version {
	if base.id.IsZero() {
		return nil
	}
	v, o, l := *base, op.o, op.l
	return sync.OnceValue(func() *version {
		if err := op.e.complete(o, l, &v); err != nil {
			return &version{} // they read theirs
		}
		return &v
	})
}

// attempt makes the version that puts data on top of base, and counts it as
// sent out.
func (op *operation) attempt(base *version, data []byte, results []error, b agree.Ballot) (*attempt, error) {
	seq := max(op.maxSeq, base.id.Seq) + 1
	if len(data) > maxWhole {
		return nil, storage.ErrTooLarge
	}
	var salts bytes.Buffer // to make the shares again
	made, err := mutable.Encode(op.o.privateKey(), mutable.Params{Format: op.o.format, Needed: op.l.needed, Total: op.l.total,
		Salts: io.TeeReader(rand.Reader, &salts)}, seq, data)
	if err != nil {
		return nil, err
	}
	if int64(len(made.Shares[0])) > storage.MaxSlotShare {
		return nil, storage.ErrTooLarge
	}
	op.maxSeq = seq
	id := storage.VersionOf(made.Header)
	a := &attempt{&version{id: id, ancestors: base.lineage(), data: data, salts: salts.Bytes(), shares: made.Shares}, b, results}
	op.open = append(op.open, a)
	return a, nil
}

// install is a request that brings a version's shares, and the list that is
// voted for with it.
func (op *operation) install(i int, m agree.Message, v *version, l *layout) storage.SlotRequest {
	s := op.servers[i]
	return storage.SlotRequest{Message: m, Enabler: enabler(op.w, s), Lease: op.e.cfg.LeaseSecret.Lease(op.o.si, s.TubID),
		Shares: v.sharesOf(op.l.voters[i]), Ancestors: v.ancestors, Placement: l.raw}
}

// send asks for votes: quorum of them, and as many more as Config.Happy
// wants of servers that answer.
func (op *operation) send(ctx context.Context, quorum int, request func(i int) storage.SlotRequest) []*answer {
	if op.repairing {
		op.voted = op.gather(ctx, nil, request)
		op.noticed(op.voted)
		return op.voted
	}
	want := max(quorum, min(op.e.cfg.Happy, op.e.trusted(op.servers)))
	start := time.Now()
	answers := op.e.ask(ctx, round{si: op.o.si, servers: op.servers, request: request, least: op.l.quorums.Classic,
		enough: func(answers []*answer) bool {
			return yes(answers) >= want
		}})
	op.round = time.Since(start)
	op.noticed(answers)
	return answers
}

// noticed keeps what answers say about numbers.
func (op *operation) noticed(answers []*answer) {
	op.maxSeq = max(op.maxSeq, highestSeq(answers))
	for _, a := range answers {
		n := highestN(a)
		if op.said == nil {
			op.said = map[string]uint64{}
		}
		op.said[a.server.ID] = max(op.said[a.server.ID], n)
		op.outdated = op.outdated || op.l != nil && (agree.Ballot{N: n}).Generation() > op.l.generation
		if errors.Is(a.err, storage.ErrUnauthorized) {
			if op.barred == nil {
				op.barred = map[string]bool{}
			}
			op.barred[a.server.ID] = true
		}
		if a.err != nil && ctxErr(a.err) == nil {
			op.reason = fmt.Errorf("%w: %w", ErrTooFewServers, a.err)
		}
	}
	if op.reason == nil {
		op.reason = ErrTooFewServers
	}
}

// ctxErr is err if a context ended.
func ctxErr(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

func yes(answers []*answer) (n int) {
	for _, a := range answers {
		if a.err == nil && a.Done {
			n++
		}
	}
	return n
}

func refused(answers []*answer) (n int) {
	for _, a := range answers {
		if definite(a) {
			n++
		}
	}
	return n
}

// mine returns the open version that v is, or is built on.
func (op *operation) mine(v *version) *attempt {
	for _, a := range op.open {
		if v.descends(a.id) {
			return a
		}
	}
	return nil
}

// lostTrack: v may be built on an open version, and its list of ancestors
// does not reach back so far.
func (op *operation) lostTrack(v *version) bool {
	if len(v.ancestors) < storage.MaxAncestors {
		return false
	}
	oldest := v.ancestors[len(v.ancestors)-1].Seq
	return slices.ContainsFunc(op.open, func(a *attempt) bool { return a.id.Seq < oldest })
}

// ack ends the batch with what a says.
func (op *operation) ack(a *attempt) { op.deliver(a.results) }

// chosen notes that v was chosen, in ballot b if sure, and tells the servers.
func (op *operation) chosen(v *version, b agree.Ballot, sure bool) {
	op.e.remember(op.o, v, b, sure, op.asked)
	if sure {
		op.e.learn(op, v, b)
	}
}

// learn tells all servers that v was chosen in b: first without its shares,
// which those that voted have, then with them to those that lack them.
func (e *Engine) learn(op *operation, v *version, b agree.Ballot) {
	servers, l := op.servers, op.l
	if l.raw == nil {
		return // what the list says is known from its successor only
	}
	for i, s := range servers {
		if s.Slots == nil {
			continue
		}
		e.background(func() {
			for _, with := range []*version{{ancestors: v.ancestors}, v} {
				if !e.begin(s.ID) {
					return
				}
				req := (&operation{e: e, o: op.o, w: op.w, l: l, servers: servers}).install(i, agree.Learn{Version: v.id, Ballot: b}, with, l)
				ctx, cancel := context.WithTimeout(e.ctx, timeFor(&req))
				a, err := s.Slots.Slot(ctx, op.o.si, req)
				cancel()
				e.end(s.ID, err)
				if err != nil || !a.Missing || v.shares == nil {
					return
				}
			}
		})
	}
}
