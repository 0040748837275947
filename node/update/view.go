package update

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"lafs/node/grid"
	"lafs/shares/agree"
	"lafs/shares/hashes"
	"lafs/shares/mutable"
	"lafs/shares/storage"
)

// A part is one share that a server holds, whose version is proved to be the
// owner's, as far as it came.
type part struct {
	version agree.VersionID
	number  storage.ShareNumber
	share   storage.SlotShare
	header  *mutable.Header
	server  grid.Server
	foreign bool
	kept    bool // beside the share that readers see
}

// look proves what an answer says about versions and the placement list;
// known is one that is proved already.
func look(fingerprint hashes.Hash, known *layout) func(*answer) {
	return func(a *answer) {
		if known != nil && bytes.Equal(a.Placement, known.raw) {
			a.layout = known
		} else if len(a.Placement) > 0 {
			a.layout, _ = openLayout(fingerprint, a.Placement)
		}
		seen := map[agree.VersionID]bool{}
		gather := func(set map[storage.ShareNumber]storage.SlotShare, foreign, kept bool) {
			for n, s := range set {
				h, err := mutable.OpenHeader(fingerprint, s.Data)
				if err != nil || int(n) >= h.Total {
					continue
				}
				v := storage.VersionOf(h)
				seen[v] = seen[v] || !foreign
				a.parts = append(a.parts, part{v, n, s, h, a.server, foreign, kept})
			}
		}
		gather(a.Current, a.Foreign, false)
		gather(a.Base, false, true)
		gather(a.Older, false, true)
		named := names(a.State)
		a.counts = !slices.ContainsFunc(named, func(v agree.VersionID) bool { return !seen[v] })
		if a.Foreign && !a.counts {
			// A Tahoe-LAFS client wrote over what it voted for.
			a.counts, a.Lost = true, true
		}
		if !a.counts && len(a.Current)+len(a.Base)+len(a.Older) == 0 {
			a.rests = named
		}
	}
}

// names are the versions that a state speaks of.
func names(st agree.State) (out []agree.VersionID) {
	if !st.Current.IsZero() {
		out = append(out, st.Current)
	}
	if v := st.Kept(); !v.IsZero() {
		out = append(out, v)
	}
	return out
}

// A view is what answers to a reading say together.
type view struct {
	answers []*answer // those that count, of servers on the list
	parts   []part    // of all
	errs    []error
	all     []*answer
	servers []grid.Server // those asked
	heard   int           // answers without error
	// layout is the newest list that was chosen, and decision that of its
	// servers. The others are those of agree.Finding.
	layout                    *layout
	installed, sealed, behind bool
	// doubtful: too few have told whether another list has taken this one's
	// place before anybody went by it; see adopt.
	doubtful bool
	// collected: some of answers count though their shares were collected, so
	// that less can be rebuilt than was voted for.
	collected bool
	next      *layout
	decision  agree.Decision
	// foreign is the newest version that a Tahoe-LAFS client wrote and that
	// can be rebuilt, if it is newer than the decision's.
	foreign agree.VersionID
}

// see sums answers up. l is the newest list known to be installed, or nil;
// answers may tell of a newer one.
func see(l *layout, answers []*answer, onlyDone bool) *view {
	v := &view{}
	if l == nil {
		answers = byVotes(answers)
	}
	var witnesses []agree.Witness
	layouts := []*layout{l}
	for _, a := range answers {
		if a.err != nil {
			v.errs = append(v.errs, a.err)
			continue
		}
		v.heard++
		v.parts = append(v.parts, a.parts...)
	}
	proved := map[agree.VersionID]bool{}
	for _, p := range v.parts {
		proved[p.version] = proved[p.version] || !p.foreign
	}
	vouched := func(a *answer) bool {
		return len(a.rests) > 0 && !slices.ContainsFunc(a.rests, func(v agree.VersionID) bool { return !proved[v] })
	}
	counts := func(a *answer) bool { return a.err == nil && (a.counts || vouched(a)) && (a.Done || !onlyDone) }
	var top agree.Ballot
	for _, a := range answers {
		if counts(a) && !a.Lost && top.Less(a.State.Accepted) {
			top = a.State.Accepted
		}
	}
	var lost *layout // the newest of those whose votes were written over
	for _, a := range answers {
		if !counts(a) {
			continue
		}
		w := agree.Witness{Server: a.server.ID, State: a.State, Void: a.Lost || a.foreignOnly()}
		if a.layout != nil {
			w.List = a.layout.list
			layouts = append(layouts, a.layout, a.layout.before)
		}
		if a.Lost {
			if a.layout != nil && (lost == nil || lost.list.Generation < a.layout.list.Generation) {
				lost = a.layout
			}
			if a.State.Accepted == (agree.Ballot{}) || !a.State.Accepted.Less(top) {
				continue // it may have voted for anything
			}
		}
		witnesses = append(witnesses, w)
	}
	var known *agree.List
	if l != nil {
		known = l.list
	}
	f := agree.Find(known, witnesses)
	if f.List == nil && lost != nil {
		f = agree.Find(lost.list, witnesses)
	}
	of := func(list *agree.List) *layout {
		i := slices.IndexFunc(layouts, func(l *layout) bool { return l != nil && l.list == list })
		if i < 0 {
			return nil
		}
		return layouts[i]
	}
	v.layout, v.next, v.decision = of(f.List), of(f.Next), f.Decision
	v.installed, v.sealed, v.behind = f.Installed, f.Sealed, f.Behind
	if v.layout == nil {
		v.foreign = v.newestForeign(agree.VersionID{})
		return v
	}
	for _, a := range answers {
		if counts(a) && v.layout.has(a.server.ID) {
			v.answers = append(v.answers, a)
			v.collected = v.collected || !a.counts
		}
	}
	if l == nil && !v.established() {
		v.doubtful, v.decision, v.next, v.sealed = true, agree.Decision{}, nil, false
		return v
	}
	v.takeOver(top)
	return v
}

// takeOver looks for what a Tahoe-LAFS client wrote and is to be built on. A
// server whose votes it wrote over can promise, and is one that did not say
// what it voted for, unless that was in a lower ballot than others voted in.
func (v *view) takeOver(top agree.Ballot) {
	d := &v.decision
	switch d.Verdict {
	case agree.Chosen, agree.Previous:
		v.foreign = v.newestForeign(d.Version)
	case agree.Possible:
		// Who wrote it saw the candidate: its number is higher.
		if v.foreign = v.newestForeign(d.Version); !v.foreign.IsZero() {
			*d = agree.Decision{Verdict: agree.Chosen, Version: d.Version, Ballot: d.Ballot}
		}
	case agree.TooFew:
		if len(v.answers) < v.layout.quorums.Read {
			return
		}
		// Nothing is known of what was agreed on, so it is all that is left.
		if v.foreign = v.newestForeign(agree.VersionID{}); !v.foreign.IsZero() {
			*d = agree.Decision{Verdict: agree.Chosen, Ballot: top}
		}
	}
}

// newest is the number of the newest version that may be built on.
func (v *view) newest() uint64 { return max(v.decision.Version.Seq, v.foreign.Seq) }

func (l *layout) has(id string) bool { return l.list.Has(id) }

// halfMoved: the list is about to be replaced, or was, and the servers of
// the newer one may not have what they begin with.
func (v *view) halfMoved() bool { return v.sealed || !v.installed }

// settled: the newest version is known and can be rebuilt.
func (v *view) settled() bool { return v.told() && !v.behind }

// told is settled for who has promises: no list that follows concerns it.
func (v *view) told() bool {
	d := v.decision
	return v.layout != nil && (d.Verdict == agree.Chosen || d.Verdict == agree.Previous) && v.has(d.Version)
}

// foreignDone: nobody shows shares that a Tahoe-LAFS client wrote, or enough
// of them are here to rebuild them.
func (v *view) foreignDone() bool {
	return !v.foreign.IsZero() || !slices.ContainsFunc(v.parts, func(p part) bool { return p.foreign })
}

// has says whether a version can be rebuilt from what was seen.
func (v *view) has(id agree.VersionID) bool {
	if id.IsZero() {
		return true
	}
	numbers, needed := map[storage.ShareNumber]bool{}, 0
	for _, p := range v.parts {
		if p.version == id {
			numbers[p.number], needed = true, p.header.Needed
		}
	}
	return needed > 0 && len(numbers) >= needed
}

// newestForeign finds what Tahoe-LAFS clients wrote after version.
func (v *view) newestForeign(after agree.VersionID) (best agree.VersionID) {
	best = after
	for _, p := range v.parts {
		newer := p.version.Seq > best.Seq || p.version.Seq == best.Seq && best != after && string(p.version.Root[:]) > string(best.Root[:])
		if p.foreign && newer && v.has(p.version) {
			best = p.version
		}
	}
	if best == after {
		return agree.VersionID{}
	}
	return best
}

// ancestors lists those of a version, if a server that holds it, or one
// built directly on it, was seen.
func (v *view) ancestors(id agree.VersionID) []agree.VersionID {
	for _, a := range v.answers {
		if a.State.Current == id {
			return a.Ancestors
		}
	}
	for _, a := range v.answers {
		if i := slices.Index(a.Ancestors, id); i >= 0 {
			return a.Ancestors[i+1:]
		}
	}
	return nil
}

// highestN is the highest ballot number in an answer.
func highestN(a *answer) uint64 { return max(a.State.Promised.N, a.State.Accepted.N) }

// highestSeq is the highest sequence number that answers prove: a number that
// a server only names might be the last one there is.
func highestSeq(answers []*answer) (seq uint64) {
	for _, a := range answers {
		for _, p := range a.parts {
			seq = max(seq, p.version.Seq)
		}
	}
	return seq
}

// reason says why a round found too little.
func (v *view) reason() error {
	for _, err := range v.errs {
		if errors.Is(err, ErrNoSlots) {
			return ErrNoSlots
		}
	}
	if len(v.errs) > 0 {
		return fmt.Errorf("%w: %w", ErrTooFewServers, v.errs[0])
	}
	return ErrTooFewServers
}
