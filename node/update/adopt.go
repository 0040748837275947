package update

import (
	"context"
	"slices"

	"lafs/shares/agree"
	"lafs/shares/placement"
	"lafs/shares/storage"
)

// adopt takes over an object that a Tahoe-LAFS client made: it writes down
// where the shares are, takes a classic ballot among those servers, and gets
// the newest version that can be rebuilt chosen there. Two engines that
// adopt one object at once, and see its shares on different servers, write
// down different lists: the one that a reader meets first counts for it.
func (op *operation) adopt(ctx context.Context, v *view) {
	base, err := op.e.load(ctx, op.o, op.w, v, v.foreign)
	if err == nil && op.o.privateKey() == nil {
		err = errNoKey
	}
	if err != nil {
		op.reason = err
		op.starve()
		op.back(ctx)
		return
	}
	l := op.e.layoutOf(op.o, v, v.foreign)
	err = l.complete()
	if err == nil {
		err = l.sign(op.o.privateKey())
	}
	if err != nil {
		op.giveUp(err)
		return
	}
	op.maxSeq = max(op.maxSeq, base.id.Seq)
	op.l, op.servers = l, op.e.servers(l)
	op.classic(ctx)
}

// layoutOf writes down where the shares of a version are. Each share has one
// place, at the first of its holders in the order of the permutation; those
// that were not found go to the holders in turn.
func (e *Engine) layoutOf(o *object, v *view, id agree.VersionID) *layout {
	l := &layout{}
	servers := placement.Permute(o.si, e.cfg.Servers(), serverSeed)
	held := map[storage.ShareNumber]bool{}
	for _, s := range servers {
		t := voter{id: s.ID}
		for _, p := range v.parts {
			if p.version != id || p.server.ID != s.ID || held[p.number] {
				continue
			}
			l.needed, l.total = p.header.Needed, p.header.Total
			held[p.number] = true
			t.shares = append(t.shares, p.number)
		}
		if len(t.shares) > 0 {
			l.voters = append(l.voters, t)
		}
	}
	for n := range l.total {
		if number := storage.ShareNumber(n); !held[number] {
			t := &l.voters[n%len(l.voters)]
			t.shares = append(t.shares, number)
		}
	}
	for _, t := range l.voters {
		slices.Sort(t.shares)
	}
	return l
}
