package store

import (
	"cmp"
	"slices"
	"time"

	"lafs/shares/caps"
	"lafs/shares/storage"
)

// Unfinished uploads hold space and memory, and whoever may store can begin
// as many as he likes. Under pressure, and only then, those make room that
// nobody works on: first those without any byte, the oldest first.
const (
	// emptyGrace is how long an upload without a byte keeps its place under
	// pressure, begunGrace one with some: Tor stalls for tens of seconds.
	emptyGrace = 2 * time.Minute
	begunGrace = 10 * time.Minute
	// maxUploadsOfOne is how many uploads one authority may have under way.
	maxUploadsOfOne = maxUploads / 4 * 3
	// freeParts of an upload are not counted; of all others together there
	// may be maxAllParts, which take 4 MiB.
	freeParts   = 4
	maxAllParts = 1 << 18
)

// makeRoom drops idle uploads as far as n more of a size need it: those of
// who, where its quota is what lacks, and of anybody, where it is the disk or
// the number of uploads.
func (s *Store) makeRoom(who Authority, si caps.StorageIndex, numbers []storage.ShareNumber, size int64) {
	lacks := func() (anybody, own bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		var n int64
		for _, number := range numbers {
			if s.uploads[uploadKey{si, number}] == nil {
				n++
			}
		}
		room, err := s.room()
		a := s.account(who)
		need := n * min(cost(size), maxShareSize/256)
		return err == nil && need > room || len(s.uploads)+int(n) > maxUploads, need > a.left() || a.uploads+int(n) > maxUploadsOfOne
	}
	anybody, own := lacks()
	if s.cfg.ReadOnly || !anybody && !own {
		return
	}
	type idle struct {
		u     *upload
		empty bool
		last  time.Time
	}
	var list []idle
	now := s.cfg.Now()
	for _, u := range s.unfinished() {
		// One that is locked is being written to.
		if !u.mu.TryLock() {
			continue
		}
		x := idle{u, len(u.have) == 0, u.last}
		u.mu.Unlock()
		grace := begunGrace
		if x.empty {
			grace = emptyGrace
		}
		if now.Sub(x.last) >= grace {
			list = append(list, x)
		}
	}
	slices.SortFunc(list, func(a, b idle) int {
		switch {
		case a.empty && !b.empty:
			return -1
		case !a.empty && b.empty:
			return 1
		}
		return cmp.Or(a.last.Compare(b.last), int(a.u.key.n)-int(b.u.key.n))
	})
	for _, x := range list {
		if !anybody && x.u.who != who {
			continue
		}
		x.u.mu.Lock()
		if x.u.last.Equal(x.last) {
			s.drop(x.u)
		}
		x.u.mu.Unlock()
		if anybody, own = lacks(); !anybody && !own {
			return
		}
	}
}

// counted parts of an upload are those beyond freeParts.
func countedParts(r ranges) int64 { return int64(max(0, len(r)-freeParts)) }

// growParts counts the parts of u when it has more, or fewer, and reports
// false where all uploads together would have too many. u.mu is held.
func (s *Store) growParts(u *upload, have ranges) bool {
	more := countedParts(have) - u.parts
	s.mu.Lock()
	defer s.mu.Unlock()
	if more > 0 && s.parts+more > maxAllParts {
		return false
	}
	s.parts += more
	u.parts += more
	return true
}
