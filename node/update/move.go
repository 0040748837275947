package update

import (
	"context"

	"lafs/shares/agree"
	"lafs/shares/storage"
)

// finishMove completes a change of the placement list that somebody left
// half done: the list that v shows was chosen, and a quorum of its servers is
// not known to have what it begins with.
func (op *operation) finishMove(ctx context.Context, v *view) {
	to := v.next
	if !v.installed {
		to = v.layout
	}
	x, err := op.e.load(ctx, op.o, op.w, v, v.decision.Version)
	if err == nil && op.o.privateKey() == nil {
		err = errNoKey
	}
	if err == nil {
		err = op.e.complete(op.o, to, x)
	}
	if err != nil {
		op.reason = err
		op.starve()
		op.back(ctx)
		return
	}
	op.move(ctx, to, x)
}

// move installs a list that was chosen as the successor of l, or of a list
// that l replaced, with version x, which was chosen with it. Whoever does
// that at the same time, or did it before, asked for the same.
func (op *operation) move(ctx context.Context, to *layout, x *version) {
	from, servers := op.l, op.servers
	op.l, op.servers = to, op.e.servers(to)
	b := agree.First(to.generation)
	answers := op.send(ctx, to.quorums.Classic, func(i int) storage.SlotRequest {
		return op.install(i, agree.Accept{Ballot: b, Version: x.id, Base: agree.Base{Itself: true}}, x, to)
	})
	there := 0
	for _, a := range answers {
		if a.err == nil && a.State.Accepted.Generation() >= to.generation {
			there++
		}
	}
	if there < to.quorums.Classic {
		op.l, op.servers = from, servers
		op.starve()
		op.back(ctx)
		return
	}
	op.starved = 0
	op.o.learn(to)
	op.e.cfg.Log.Info("the placement list of a mutable object was replaced", "object", op.o.si, "generation", to.generation)
	if yes(answers) < to.quorums.Classic {
		return // others have written there already
	}
	op.chosen(x, b, true)
	op.e.point(op, x, b)
	op.goOn(ctx, b, x)
}

// point tells the servers that were taken off the list which list is the
// newer one, if they hold x. Nobody waits for them.
func (e *Engine) point(op *operation, x *version, b agree.Ballot) {
	l := op.l
	for _, s := range e.servers(l.before) {
		if s.Slots == nil || l.has(s.ID) {
			continue
		}
		req := storage.SlotRequest{Message: agree.Learn{Version: x.id, Ballot: b}, Enabler: enabler(op.w, s), Ancestors: x.ancestors, Placement: l.raw}
		e.background(func() {
			if !e.begin(s.ID) {
				return
			}
			ctx, cancel := context.WithTimeout(e.ctx, askTimeout)
			defer cancel()
			_, err := s.Slots.Slot(ctx, op.o.si, req)
			e.end(s.ID, err)
		})
	}
}
