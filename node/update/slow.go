package update

import (
	"cmp"
	"context"
	"slices"
	"time"

	"lafs/shares/agree"
	"lafs/shares/storage"
)

// slow reads, and goes on as far as the answers allow.
func (op *operation) slow(ctx context.Context) {
	// What was known, if anything, is not the newest any more.
	op.contended = op.contended || op.tries > 0
	start := time.Now()
	v := op.e.look(ctx, op.o, op.w, firstFetch)
	op.round = time.Since(start)
	op.noticed(v.answers)
	for _, p := range v.parts {
		op.maxSeq = max(op.maxSeq, p.version.Seq)
	}
	op.outdated = false
	if v.layout != nil && v.installed && (op.l == nil || op.l.generation < v.layout.generation) {
		op.l = v.layout
	}
	if known := op.o.place(); known == nil {
		op.l = v.layout
	} else if op.l == nil || op.l.generation <= known.generation {
		op.l = known // not one that an adoption began with
	}
	switch {
	case v.doubtful:
		op.servers = op.e.servers(op.l)
		op.classic(ctx)
		return
	case op.l == nil && !v.foreign.IsZero():
		op.adopt(ctx, v)
		return
	case op.l == nil && v.layout == nil:
		if err := op.e.absent(v); err != nil {
			op.giveUp(err)
			return
		}
		fallthrough
	case v.decision.Verdict == agree.TooFew:
		op.reason = v.reason()
		op.starve()
		pause(ctx, op.e.pauseFor(max(op.tries, op.starved), op.round))
		return
	}
	if v.halfMoved() {
		op.finishMove(ctx, v)
		return
	}
	if op.repairing {
		return
	}
	op.servers = op.e.servers(op.l)
	d := v.decision
	if d.Verdict == agree.Chosen && v.next == nil && v.foreign.IsZero() {
		id := &version{id: d.Version, ancestors: v.ancestors(d.Version)}
		if a := op.mine(id); a != nil {
			if d.Sure && a.id == d.Version {
				op.chosen(a.version, d.Ballot, true)
			}
			op.ack(a)
			return
		}
		if len(op.open) > 0 && op.lostTrack(id) {
			op.giveUp(errLostTrack)
			return
		}
		if d.Sure {
			op.drop(d.Ballot)
			if len(op.open) == 0 && op.free(v, d.Ballot) && op.start(ctx, v, d) {
				return
			}
		}
	}
	op.contended = true
	if op.givesWay(v) || time.Now().Before(op.notBefore) {
		op.poll(ctx)
		return
	}
	op.classic(ctx)
}

// pace is about the time of a round.
func (op *operation) pace() time.Duration {
	return min(max(op.round, 10*time.Millisecond), 2*time.Second)
}

// poll waits for about a round before reading again. An operation that waits
// goes on reading: whether an open version is dead, or done, can only be
// told while the lists of ancestors reach back to it.
func (op *operation) poll(ctx context.Context) {
	d := min(op.pace(), max(op.round, 10*time.Millisecond))
	pause(ctx, d/2+op.e.within(d/2))
}

// drop forgets the open versions that can never be chosen, since another was
// in ballot b.
func (op *operation) drop(b agree.Ballot) {
	kept := op.open[:0]
	for _, a := range op.open {
		if b.Less(a.order) {
			kept = append(kept, a)
		}
	}
	op.open = kept
}

// free says that a fast write on top of ballot b may be voted for. It may not
// where too many servers have promised a later ballot: who asked for it may
// have died, and only another classic ballot gets past it.
func (op *operation) free(v *view, b agree.Ballot) bool {
	bound := 0
	for _, a := range v.answers {
		if b.Less(a.State.Promised) {
			bound++
		}
	}
	return len(op.servers)-bound >= op.l.quorums.Fast
}

// start makes the version that is chosen for sure the base of the next
// write.
func (op *operation) start(ctx context.Context, v *view, d agree.Decision) bool {
	base, err := op.e.load(ctx, op.o, op.w, v, d.Version)
	if err != nil || op.o.privateKey() == nil {
		return false
	}
	op.base, op.ballot, op.fresh = base, d.Ballot, true
	op.e.remember(op.o, base, d.Ballot, true, op.asked)
	return true
}

// givesWay says that another writer is about to finish: somebody has
// prepared, or another candidate has at least as many votes as ours.
func (op *operation) givesWay(v *view) bool {
	var promised agree.Ballot
	votes := map[agree.VersionID]int{}
	for _, a := range v.answers {
		if promised.Less(a.State.Promised) {
			promised = a.State.Promised
		}
		if a.State.Accepted == v.decision.Ballot {
			votes[a.State.Current]++
		}
	}
	own, other := 0, 0
	for id, n := range votes {
		if op.mine(&version{id: id}) != nil {
			own = max(own, n)
		} else {
			other = max(other, n)
		}
	}
	contended := v.decision.Ballot.Less(promised) || other >= own && other > 0 && v.decision.Verdict != agree.Chosen
	if !contended || op.polite >= politeRounds && promised == op.last {
		return false
	}
	if op.gaveWay++; op.gaveWay%politeInAll == 0 {
		return false // somebody always prepares, or only says so
	}
	if promised == op.last {
		op.polite++
	} else {
		op.polite = 1
	}
	op.last = promised
	return true
}

// back puts the next classic ballot off: a round, and at random up to so much
// for each that failed.
func (op *operation) back(ctx context.Context) {
	op.failed++
	op.notBefore = time.Now().Add(op.pace() + op.e.within(min(op.pace()<<min(op.failed, 6), 20*time.Second)))
	op.poll(ctx)
}

// classic takes a ballot of its own: it collects promises, decides from
// them, and writes.
func (op *operation) classic(ctx context.Context) {
	for range maxRivals {
		b := op.newBallot()
		v, ok := op.prepare(ctx, b)
		if !ok {
			break
		}
		l := op.rival(v)
		if l == nil {
			op.settleIn(ctx, b, v, v.next)
			return
		}
		op.l, op.servers = l, op.e.servers(l)
	}
	if !op.outdated {
		op.back(ctx)
	}
}

// leap is how far above all that is known for sure a ballot's number is
// believed: writers' clocks differ, in milliseconds.
const leap = 1 << 24

// newBallot is a classic one of the list's generation, above all seen that
// can be. There are only so many numbers, and one server that says that it
// promised the last one must not be able to use them up: what is far above
// both the clock and what a quorum can be had for is left alone, at the cost
// of that server's vote.
func (op *operation) newBallot() agree.Ballot {
	clock := uint64(max(0, op.e.cfg.Now().UnixMilli()))
	var said []uint64
	for _, v := range op.l.voters {
		said = append(said, op.said[v.id])
	}
	slices.Sort(said)
	seen := max(op.maxN, said[op.l.quorums.Classic-1])
	limit := max(seen, agree.First(op.l.generation).N+clock) + leap
	for _, n := range said {
		if n <= limit {
			seen = max(seen, n)
		}
	}
	b := agree.Classic(op.l.generation, seen, clock, op.e.nonce())
	op.maxN = max(op.maxN, b.N)
	return b
}

// promise is a request for a promise.
func (op *operation) promise(i int, b agree.Ballot) storage.SlotRequest {
	s := op.servers[i]
	return storage.SlotRequest{Message: agree.Prepare{Ballot: b}, Enabler: enabler(op.w, s), Fetch: firstFetch,
		Lease: op.e.cfg.LeaseSecret.Lease(op.o.si, s.TubID), Numbers: op.l.voters[i].shares}
}

// prepare collects promises of a classic quorum.
func (op *operation) prepare(ctx context.Context, b agree.Ballot) (*view, bool) {
	q := op.l.quorums
	start := time.Now()
	answers := op.e.ask(ctx, round{si: op.o.si, servers: op.servers, least: q.Classic, look: look(op.o.fingerprint, op.l),
		request: func(i int) storage.SlotRequest {
			return op.promise(i, b)
		},
		enough: func(answers []*answer) bool {
			v := see(op.l, answers, true)
			return v.layout == op.l && len(v.answers) >= q.Classic && v.told() && v.foreignDone()
		}})
	op.round = time.Since(start)
	op.noticed(answers)
	v := see(op.l, answers, true)
	if v.layout != op.l {
		op.outdated = true
		return nil, false
	}
	if len(v.answers) < q.Classic {
		if len(answers)-len(v.errs) < q.Classic {
			op.starve()
			op.reason = v.reason()
		}
		return nil, false
	}
	op.starved = 0
	return v, true
}

// settleIn decides from promises in ballot b and writes what follows. next,
// if not nil, is the list that shall take l's place.
func (op *operation) settleIn(ctx context.Context, b agree.Ballot, v *view, next *layout) {
	d := v.decision
	if d.Verdict == agree.TooFew || v.newest() < op.o.oldest() && d.Verdict != agree.Possible {
		op.starve()
		op.back(ctx)
		return
	}
	if d.Verdict == agree.Possible && !v.has(d.Base.Version) && !v.collected {
		// Whatever is newest can be rebuilt from every classic quorum. The
		// base cannot, so it is not the newest: the candidate is chosen.
		d.Verdict, d.Base = agree.Chosen, agree.Base{Itself: true}
	}
	id := d.Version
	if !v.foreign.IsZero() && d.Verdict != agree.Possible {
		id = v.foreign
	}
	base, err := op.e.load(ctx, op.o, op.w, v, id)
	if err == nil && op.o.privateKey() == nil && !base.id.IsZero() {
		err = errNoKey
	}
	if err == nil && !base.id.IsZero() && op.o.privateKey() != nil {
		err = op.e.complete(op.o, op.l, base)
	}
	if err == nil && next != nil && next.raw == nil {
		err = next.sign(op.o.privateKey())
	}
	if err == nil && op.l.raw == nil && next == nil {
		err = errLayout // known from its successor only
	}
	if err != nil {
		op.reason = err
		op.starve()
		op.back(ctx)
		return
	}
	switch {
	case d.Verdict == agree.Possible:
		op.finishOther(ctx, b, v, d, base, next)
	case id != d.Version:
		// A Tahoe-LAFS client wrote it, on top of what it saw.
		op.e.cfg.Log.Warn("a mutable object was written past lafs's protocol; the foreign version is taken over", "object", op.o.si)
		base.ancestors = (&version{id: d.Version, ancestors: v.ancestors(d.Version)}).lineage()
		op.affirm(ctx, b, base, next)
	case op.repairing && base.id.IsZero():
		op.giveUp(ErrNotFound)
	case op.repairing || op.mine(base) != nil || next != nil:
		op.affirm(ctx, b, base, next)
	case len(op.open) > 0 && op.lostTrack(base):
		op.giveUp(errLostTrack)
	default:
		op.writeOn(ctx, b, base)
	}
}

// finishOther gets a candidate chosen that may be so already.
func (op *operation) finishOther(ctx context.Context, b agree.Ballot, v *view, d agree.Decision, w *version, next *layout) {
	under, err := op.e.load(ctx, op.o, op.w, v, d.Base.Version)
	if err == nil {
		err = op.e.complete(op.o, op.l, under)
	}
	if err != nil {
		op.reason = err
		op.starve()
		op.back(ctx)
		return
	}
	if op.accept(ctx, b, w, d.Base, under, next) {
		op.affirmed(ctx, b, w, next)
	}
}

// affirm gets a version that is chosen already chosen in ballot b.
func (op *operation) affirm(ctx context.Context, b agree.Ballot, x *version, next *layout) {
	if op.accept(ctx, b, x, agree.Base{Itself: true}, nil, next) {
		op.affirmed(ctx, b, x, next)
	}
}

// affirmed: x is chosen in b, and so is next, if it is not nil.
func (op *operation) affirmed(ctx context.Context, b agree.Ballot, x *version, next *layout) {
	if next != nil {
		if op.move(ctx, next, x); !op.finished {
			if a := op.mine(x); a != nil {
				op.ack(a)
			}
		}
		return
	}
	op.chosen(x, b, true)
	op.goOn(ctx, b, x)
}

// goOn: x is chosen in b, and can be written on.
func (op *operation) goOn(ctx context.Context, b agree.Ballot, x *version) {
	if op.repairing {
		op.mended(ctx)
		return
	}
	if a := op.mine(x); a != nil {
		op.ack(a)
		return
	}
	if len(op.open) > 0 && op.lostTrack(x) {
		op.giveUp(errLostTrack)
		return
	}
	op.drop(b)
	op.base, op.ballot, op.fresh = x, b, true
}

// writeOn puts the batch on top of x in ballot b.
func (op *operation) writeOn(ctx context.Context, b agree.Ballot, x *version) {
	data, results, changed, _ := op.build(x)
	if !changed {
		if len(op.open) == 0 {
			op.deliver(results)
			return
		}
		// What is open must be known dead before the changes have failed.
		op.affirm(ctx, b, x, nil)
		return
	}
	a, err := op.attempt(x, data, results, b)
	if err != nil {
		op.giveUp(err)
		return
	}
	if op.accept(ctx, b, a.version, agree.Base{Version: x.id}, x, nil) {
		op.chosen(a.version, b, true)
		op.ack(a)
	}
}

// accept asks for votes in ballot b, for next too if it is not nil; if it is
// false, the operation has waited for its next try.
func (op *operation) accept(ctx context.Context, b agree.Ballot, v *version, base agree.Base, under *version, next *layout) bool {
	with := cmp.Or(next, op.l)
	answers := op.send(ctx, op.l.quorums.Classic, func(i int) storage.SlotRequest {
		req := op.install(i, agree.Accept{Ballot: b, Version: v.id, Base: base}, v, with)
		if under != nil {
			req.Base = under.sharesOf(op.l.voters[i])
		}
		return req
	})
	if yes(answers) >= op.l.quorums.Classic {
		op.starved = 0
		if next == nil {
			op.o.learn(op.l)
		}
		return true
	}
	silent := 0
	for _, a := range answers {
		if a.err != nil {
			silent++
		}
	}
	if len(answers)-silent < op.l.quorums.Classic {
		op.starve()
	}
	op.back(ctx)
	return false
}
