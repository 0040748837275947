package store

import (
	"lafs/node/store/ondisk"
	"lafs/shares/agree"
	"lafs/shares/storage"
)

// A part is bytes of a container that become a share file of ours.
type part struct {
	step     uint64
	at, size int64
}

// parts are the share files that a container becomes. Behind a share that
// lafs clients kept votes for lies more than the share, and perhaps another
// one.
func (sh *Takeover) parts() []part {
	if sh.Kind == storage.Immutable || sh.Votes == nil {
		return []part{{firstStep, sh.At, sh.Length}}
	}
	held := sh.Votes.Shares[sh.Number]
	var out []part
	if sh.has(held.Size, 0) {
		out = append(out, part{firstStep, sh.At, held.Size})
	}
	if sh.has(held.BaseSize, held.BaseAt) {
		out = append(out, part{firstStep - 1, sh.At + held.BaseAt, held.BaseSize})
	}
	return out
}

// has: so many bytes, at least one, are in the container from at on.
func (sh *Takeover) has(size, at int64) bool { return size > 0 && at >= 0 && size <= sh.Length-at }

// linked says that the share can be had by a link to its container.
func (t *taking) linked(sh *Takeover) bool {
	return t.link && (sh.Kind == storage.Immutable || sh.Votes == nil)
}

// takeState gives the record of a slot its shares, and what the other server
// promised and voted for, as its lafs clients kept it. own: it is still the
// server that clients know by that name. Another one has promised nothing,
// but keeps the shares.
func takeState(r *ondisk.Record, held []Takeover, own bool) {
	votes := held[0].Votes
	if votes == nil {
		// Whether there were votes that a Tahoe-LAFS client wrote over,
		// nobody knows.
		r.IsForeign, r.Lost, r.Foreign = true, true, ondisk.Shares{}
		for _, sh := range held {
			r.Foreign[sh.Number] = ondisk.Ref{Step: firstStep, Length: sh.Length}
		}
		return
	}
	current, base, all := ondisk.Shares{}, ondisk.Shares{}, ondisk.Shares{}
	for _, sh := range held {
		n, h := sh.Number, votes.Shares[sh.Number]
		if sh.has(h.BaseSize, h.BaseAt) {
			base[n] = ondisk.Ref{Step: firstStep - 1, Length: h.BaseSize}
		}
		if !sh.has(h.Size, 0) {
			continue
		}
		ref := ondisk.Ref{Step: firstStep, Length: h.Size}
		all[n] = ref
		_, kept := base[n]
		switch {
		case votes.Current(n):
			current[n] = ref
		case h.Version == votes.Base() && !h.Version.IsZero() && !kept:
			base[n] = ref // a step that was cut off left it
		}
	}
	if !own {
		r.IsForeign, r.Lost, r.Foreign, r.Base = true, true, all, base
		return
	}
	r.State, r.Placement = votes.State, votes.Placement
	r.Ancestors = append([]agree.VersionID(nil), votes.Ancestors...)
	r.Current, r.Base = current, base
	if votes.Foreign {
		r.IsForeign, r.Seen, r.Lost, r.Foreign = true, votes.Seen, votes.Lost, all
	}
}
