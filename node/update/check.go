package update

import (
	"context"
	"slices"

	"lafs/shares/agree"
	"lafs/shares/caps"
	"lafs/shares/mutable"
	"lafs/shares/storage"
)

// A CheckResult is the health of one object.
type CheckResult struct {
	// Healthy: every share of the newest version is where the placement list
	// says, for every reader to see, that version is known to be chosen, and
	// no change of the list was left half done. That is what Tahoe-LAFS calls
	// healthy (N different good shares of the one version that is there), and
	// that it can be changed as well. Recoverable: its content can be
	// rebuilt.
	Healthy, Recoverable bool
	// Version is the newest version.
	Version agree.VersionID
	// Needed and Total are k and N, Good the distinct good shares of Version.
	Needed, Total, Good int
	// Shares maps the share numbers of Version to the ids of the servers
	// that hold them.
	Shares map[int][]string
	// OtherVersions are the versions beside it that readers see on servers of
	// the list: what lies on others is not the object's any more, and what
	// servers keep beside a share that readers see is no version of its own.
	OtherVersions int
	// Corrupt are shares that are not what their owner signed.
	Corrupt []CorruptShare
	// Answered and Silent are the ids of the servers asked.
	Answered, Silent []string
	// OnlyTahoe are those of Answered that speak only Tahoe-LAFS's protocol:
	// they keep no votes of their own.
	OnlyTahoe []string
}

// A CorruptShare is a share and the id of the server that holds it.
type CorruptShare struct {
	Number int
	Server string
}

// Check looks at all shares; with verify it reads and proves every byte of
// those of the newest version, else only their signatures. c may be a verify
// cap. ErrNotFound, ErrUndecided, ErrTooFewServers.
func (e *Engine) Check(ctx context.Context, c caps.Cap, verify bool) (*CheckResult, error) {
	o, err := e.verifiable(c)
	if err != nil {
		return nil, err
	}
	ctx, cancel := e.bound(ctx)
	defer cancel()
	v := e.survey(ctx, o)
	if v.layout == nil && v.foreign.IsZero() {
		if err := e.absent(v); err != nil {
			return nil, err
		}
		return nil, v.reason()
	}
	id := v.decision.Version
	if !v.foreign.IsZero() {
		id = v.foreign
	}
	switch {
	case v.foreign.IsZero() && v.decision.Verdict == agree.TooFew:
		return nil, v.reason()
	case id.IsZero():
		return nil, ErrNotFound
	}
	r := &CheckResult{Version: id, Shares: map[int][]string{}}
	r.count(v, id)
	if verify {
		r.verify(ctx, e, o, v, id)
	}
	r.Good = len(r.Shares)
	r.Recoverable = r.Needed > 0 && r.Good >= r.Needed
	r.Healthy = r.Recoverable && r.Good == r.Total && len(r.Corrupt) == 0 && v.layout != nil &&
		v.decision.Verdict == agree.Chosen && v.foreign.IsZero() && r.placed(v) && v.installed && v.next == nil
	return r, nil
}

// verifiable returns the object of any cap of it.
func (e *Engine) verifiable(c caps.Cap) (*object, error) {
	if d, ok := c.(*caps.Directory); ok {
		c = d.File()
	}
	if v, ok := c.(*caps.MutableVerifier); ok {
		o := &object{si: v.Index, fingerprint: v.Fingerprint}
		if v.MDMF {
			o.format = mutable.MDMF
		}
		return o, nil
	}
	r, _, err := rights(c)
	if err != nil {
		return nil, err
	}
	return e.object(r), nil
}

// survey is look, but waits for all that answer.
func (e *Engine) survey(ctx context.Context, o *object) *view {
	l := o.place()
	servers := e.candidates(o.si)
	if l != nil {
		servers = e.servers(l)
	}
	v := e.follow(ctx, o, nil, l, servers, firstFetch, len(servers)/2+1, len(servers), func(*view) bool { return false })
	for _, s := range v.servers {
		if !slices.ContainsFunc(v.all, func(a *answer) bool { return a.server.ID == s.ID }) {
			v.all = append(v.all, &answer{server: s, err: storage.ErrUnreachable})
		}
	}
	return v
}

func (r *CheckResult) count(v *view, id agree.VersionID) {
	others := map[agree.VersionID]bool{}
	for _, a := range v.all {
		if a.err != nil {
			r.Silent = append(r.Silent, a.server.ID)
			continue
		}
		r.Answered = append(r.Answered, a.server.ID)
		if s, ok := a.server.Slots.(interface{ OnlyTahoe() bool }); ok && s.OnlyTahoe() {
			r.OnlyTahoe = append(r.OnlyTahoe, a.server.ID)
		}
		for _, set := range []map[storage.ShareNumber]storage.SlotShare{a.Current, a.Base, a.Older} {
			for n := range set {
				if !slices.ContainsFunc(a.parts, func(p part) bool { return p.number == n }) {
					r.Corrupt = append(r.Corrupt, CorruptShare{int(n), a.server.ID})
				}
			}
		}
	}
	for _, p := range v.parts {
		if p.version != id {
			if !p.kept && (v.layout == nil || v.layout.has(p.server.ID)) {
				others[p.version] = true
			}
			continue
		}
		r.Needed, r.Total = p.header.Needed, p.header.Total
		if n := int(p.number); !slices.Contains(r.Shares[n], p.server.ID) {
			r.Shares[n] = append(r.Shares[n], p.server.ID)
		}
	}
	r.OtherVersions = len(others)
}

// verify reads the shares of a version whole and drops those that are wrong.
func (r *CheckResult) verify(ctx context.Context, e *Engine, o *object, v *view, id agree.VersionID) {
	for _, p := range v.parts {
		if p.version != id {
			continue
		}
		s := e.openPart(ctx, o, p, true)
		if s != nil {
			if s.Segments() == 0 {
				continue
			}
			if _, err := s.Blocks(ctx, 0, s.Segments()); err == nil {
				continue
			}
		}
		n := int(p.number)
		r.Corrupt = append(r.Corrupt, CorruptShare{n, p.server.ID})
		r.Shares[n] = slices.DeleteFunc(r.Shares[n], func(id string) bool { return id == p.server.ID })
		if len(r.Shares[n]) == 0 {
			delete(r.Shares, n)
		}
	}
}

// placed says whether every share is good, and what readers see, where the
// list says.
func (r *CheckResult) placed(v *view) bool {
	for _, t := range v.layout.voters {
		for _, n := range t.shares {
			seen := func(p part) bool {
				return p.version == r.Version && p.number == n && p.server.ID == t.id && !p.kept
			}
			if !slices.Contains(r.Shares[int(n)], t.id) || !slices.ContainsFunc(v.parts, seen) {
				return false
			}
		}
	}
	return true
}
