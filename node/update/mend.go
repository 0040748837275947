package update

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"lafs/node/grid"
	"lafs/shares/agree"
	"lafs/shares/caps"
	"lafs/shares/storage"
)

const (
	// mendPatience is how long a repair asks a server again that does not
	// answer, before it is taken for lost: the way to one that was just down
	// takes Tor tens of seconds, and a node that has just started learns only
	// by and by which servers there are.
	mendPatience = 30 * time.Second
	// mendPause is between two such questions.
	mendPause = 3 * time.Second
	// mendRounds bounds how often a repair begins again since servers that
	// were to take shares did not.
	mendRounds = 3
)

// Repair gets the newest version, or one that may be, chosen again on the
// servers of the placement list, with all its shares; the version stays what
// it is. Servers that do not answer now are taken to be lost for good: if
// there are others that can take their shares, or if the ones that are left
// can do it better among themselves, the list is replaced.
//
// It takes a quorum of the list's servers. Where fewer are left, nobody can
// know any more what the newest version is: that is ErrTooFewServers, and
// nothing is changed.
func (e *Engine) Repair(ctx context.Context, w *caps.MutableWriter) error {
	ctx, cancel := e.bound(ctx)
	defer cancel()
	op := &operation{e: e, o: e.object(w.ReadOnly().(*caps.MutableReader)), w: w, repairing: true, gone: map[string]bool{}}
	op.run(ctx)
	if op.failure != nil {
		return fmt.Errorf("repair: %w", op.failure)
	}
	return nil
}

// mend is one round of a repair: promises of all servers that are there,
// then votes of all of them, and of those that take the place of lost ones.
func (op *operation) mend(ctx context.Context) {
	if op.mends++; op.mends > mendRounds {
		op.mended(ctx)
		return
	}
	var spare []string
	probed := op.e.trusted(op.servers) < len(op.servers)
	b := op.newBallot()
	var v *view
	var answers []*answer
	steps := []func(){func() { v, answers = op.muster(ctx, b) }}
	if probed {
		// Some have let us wait already: most likely others are needed.
		steps = append(steps, func() { spare = op.spare(ctx) })
	}
	together(len(steps), func(i int) { steps[i]() })
	op.noticed(answers)
	there := 0
	for _, a := range answers {
		if a.err == nil {
			there++
		}
	}
	switch q := op.l.quorums; {
	case ctx.Err() != nil:
		return
	case v.layout != op.l:
		op.outdated = true
		return
	case there < q.Classic:
		op.giveUp(fmt.Errorf("%d of the %d servers that hold the object answer, and %d must, to change anything about it: %w",
			there, q.Servers, q.Classic, v.reason()))
		return
	case len(v.answers) < q.Classic:
		op.mends--
		op.back(ctx)
		return
	}
	next := v.next
	if next == nil && op.lost(answers) {
		if !probed {
			spare = op.spare(ctx)
		}
		next = op.l.successor(op.gone, spare)
	}
	op.settleIn(ctx, b, v, next)
}

// lost notes who is gone of the list's servers.
func (op *operation) lost(answers []*answer) bool {
	for _, a := range answers {
		if a.err != nil {
			op.gone[a.server.ID] = true
		}
	}
	return slices.ContainsFunc(op.servers, func(s grid.Server) bool { return op.gone[s.ID] })
}

// muster collects promises of all that are there.
func (op *operation) muster(ctx context.Context, b agree.Ballot) (*view, []*answer) {
	answers := op.gather(ctx, look(op.o.fingerprint, op.l), func(i int) storage.SlotRequest {
		return op.promise(i, b)
	})
	return see(op.l, answers, true), answers
}

// spare finds servers that are not on the list and answer, in the order in
// which the object visits them.
func (op *operation) spare(ctx context.Context) (ids []string) {
	servers := slices.DeleteFunc(op.e.candidates(op.o.si), func(s grid.Server) bool {
		return s.Slots == nil || op.l.has(s.ID) || op.gone[s.ID]
	})
	servers = servers[:min(len(servers), 2*len(op.l.voters))]
	answers := op.e.ask(ctx, round{si: op.o.si, servers: servers, least: 1,
		request: func(int) storage.SlotRequest { return storage.SlotRequest{Message: agree.Read{}} },
		enough:  func([]*answer) bool { return false }})
	for _, s := range servers {
		if slices.ContainsFunc(answers, func(a *answer) bool { return a.err == nil && a.server.ID == s.ID }) {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

// gather asks all of the list's servers but those that are gone, and those
// that do not answer again and again.
func (op *operation) gather(ctx context.Context, look func(*answer), request func(i int) storage.SlotRequest) []*answer {
	start := time.Now()
	final := make([]*answer, len(op.servers))
	var todo []int
	for i, s := range op.servers {
		final[i] = &answer{server: s, err: storage.ErrUnreachable}
		if !op.gone[s.ID] {
			todo = append(todo, i)
		}
	}
	for len(todo) > 0 {
		var servers []grid.Server
		for _, i := range todo {
			servers = append(servers, op.servers[i])
		}
		answers := op.e.ask(ctx, round{si: op.o.si, servers: servers, least: len(servers) + 1, look: look,
			request: func(i int) storage.SlotRequest { return request(todo[i]) },
			enough:  func([]*answer) bool { return false }})
		for _, a := range answers {
			final[slices.IndexFunc(op.servers, func(s grid.Server) bool { return s.ID == a.server.ID })] = a
		}
		todo = slices.DeleteFunc(todo, func(i int) bool { return final[i].err == nil || definite(final[i]) })
		if len(todo) == 0 || time.Since(start) >= mendPatience || !pause(ctx, mendPause) {
			break
		}
		op.servers = op.e.servers(op.l) // some may have become known
	}
	return final
}

// mended ends a repair when every server of the list has voted, or nothing
// more can be done.
func (op *operation) mended(ctx context.Context) {
	lost := 0
	for _, a := range op.voted {
		if a.err != nil {
			lost++
			if op.mends < mendRounds && !op.gone[a.server.ID] {
				op.gone[a.server.ID] = true
				return // another round, without it
			}
		}
	}
	op.finished = true
	if lost > 0 {
		op.failure = fmt.Errorf("%d of the %d servers that the object is kept on do not answer, or do not take its shares: %w",
			lost, len(op.voted), errNoSpare)
	}
}

var errNoSpare = errors.New("no other server is there to take their place; try again when one is")
