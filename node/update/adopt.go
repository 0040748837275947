package update

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"lafs/shares/agree"
	"lafs/shares/placement"
	"lafs/shares/storage"
)

// adopt takes over an object that a Tahoe-LAFS client made: it writes down
// where the shares are, takes a classic ballot among those servers, and gets
// the newest version that can be rebuilt chosen there.
//
// Two engines that adopt one object at once, and see its shares on different
// servers, write down different lists. One of the two must win, before any
// write to either is acknowledged. So a list is made only where each quorum of
// it has more than half of the object's shares: then any quorums of two such
// lists have a server in common (unless a share lies on two servers of which
// each engine sees another: shares seen twice do not count). The ballots do
// the rest, since all of an object are in one order whatever the list: a
// server keeps the list that came with its newest vote, and who has promises
// of a quorum goes on with the list of the newest vote among them. Once a
// quorum has voted with one list, there is no other way for anybody.
func (op *operation) adopt(ctx context.Context, v *view) {
	base, err := op.e.load(ctx, op.o, op.w, v, v.foreign)
	if err == nil && op.o.privateKey() == nil {
		err = errNoKey
	}
	var l *layout
	if err == nil {
		l, err = op.e.layoutOf(op.o, v, v.foreign)
	}
	if err != nil {
		op.reason = err
		op.starve()
		op.back(ctx)
		return
	}
	if err := l.sign(op.o.privateKey()); err != nil {
		op.giveUp(err)
		return
	}
	op.maxSeq = max(op.maxSeq, base.id.Seq)
	op.l, op.servers = l, op.e.servers(l)
	op.classic(ctx)
}

// maxRivals bounds the lists that a ballot is begun anew for.
const maxRivals = 4

// rival returns the list that came with the newest vote, if it is not the
// one that is being gone by.
func (op *operation) rival(v *view) *layout {
	var top *answer
	for _, a := range v.answers {
		if a.layout != nil && a.State.Accepted != (agree.Ballot{}) && (top == nil || top.State.Accepted.Less(a.State.Accepted)) {
			top = a
		}
	}
	if top == nil || bytes.Equal(top.layout.raw, op.l.raw) || top.layout.generation != op.l.generation {
		return nil
	}
	return top.layout
}

// layoutOf writes down where the shares of a version are. Each share has one
// place, at the first of its holders in the order of the permutation; those
// that were not found go to the holders in turn.
func (e *Engine) layoutOf(o *object, v *view, id agree.VersionID) (*layout, error) {
	l := &layout{}
	servers := placement.Permute(o.si, e.cfg.Servers(), serverSeed)
	placed := map[storage.ShareNumber]bool{}
	holders := map[storage.ShareNumber]map[string]bool{}
	for _, p := range v.parts {
		if p.version == id {
			if holders[p.number] == nil {
				holders[p.number] = map[string]bool{}
			}
			holders[p.number][p.server.ID] = true
			l.needed, l.total = p.header.Needed, p.header.Total
		}
	}
	var alone []int // by voter: the shares that lie there and nowhere else
	for _, s := range servers {
		t, n := voter{id: s.ID}, 0
		for number := range l.total {
			number := storage.ShareNumber(number)
			if !holders[number][s.ID] || placed[number] {
				continue
			}
			placed[number] = true
			t.shares = append(t.shares, number)
			if len(holders[number]) == 1 {
				n++
			}
		}
		if len(t.shares) > 0 {
			l.voters, alone = append(l.voters, t), append(alone, n)
		}
	}
	if len(l.voters) == 0 {
		return nil, ErrTooFewServers
	}
	for n := range l.total {
		if number := storage.ShareNumber(n); !placed[number] {
			t := &l.voters[n%len(l.voters)]
			t.shares = append(t.shares, number)
		}
	}
	for _, t := range l.voters {
		slices.Sort(t.shares)
	}
	if err := l.complete(); err != nil {
		return nil, err
	}
	slices.Sort(alone)
	least := 0 // what a quorum has
	for _, n := range alone[:l.quorums.Classic] {
		least += n
	}
	if 2*least <= l.total {
		return nil, fmt.Errorf("%w: a Tahoe-LAFS client made this object, and before the first write here more of its %d shares must be found than %d",
			ErrTooFewServers, l.total, len(placed))
	}
	return l, nil
}

// foreignOnly: the server holds what a Tahoe-LAFS client wrote, and has voted
// for nothing. It has not forgotten anything either.
func (a *answer) foreignOnly() bool { return a.Foreign && a.State.Accepted == (agree.Ballot{}) }

// mostOf says that half of a version's shares were seen. If nobody shows a
// placement list, then no quorum of any has voted.
func (v *view) mostOf(id agree.VersionID) bool {
	numbers, total := map[storage.ShareNumber]bool{}, 0
	for _, p := range v.parts {
		if p.version == id {
			numbers[p.number], total = true, p.header.Total
		}
	}
	return 2*len(numbers) >= total
}

// byVotes orders answers by their votes, newest first: the list of the first
// that has one is the one to go by.
func byVotes(answers []*answer) []*answer {
	out := slices.Clone(answers)
	slices.SortStableFunc(out, func(a, b *answer) int { return b.State.Accepted.Compare(a.State.Accepted) })
	return out
}

// established: the list that v goes by, and that was not known before, is the
// one that the object has for good. Else it may be one that an engine wrote
// down that adopts the object, or died while it did.
func (v *view) established() bool {
	if v.layout.generation > 0 || len(v.answers) >= v.layout.quorums.Classic {
		return true
	}
	return slices.ContainsFunc(v.answers, func(a *answer) bool {
		return a.layout != nil && bytes.Equal(a.layout.raw, v.layout.raw) && (a.State.Committed || a.State.Accepted.IsFast())
	})
}
