package update_test

import (
	"bytes"
	"context"
	"fmt"
	"math/bits"
	"slices"

	"lafs/node/store"
	"lafs/shares/agree"
	"lafs/shares/caps"
	"lafs/shares/mutable"
	"lafs/shares/storage"
)

// holdings are what a server was seen to hold of one object after a step.
type holdings struct {
	storage.SlotAnswer
	// good are the shares that were proved, byte for byte, by version.
	good map[agree.VersionID]map[storage.ShareNumber][]byte
}

// look reads what the server holds now, if state is news, and tells.
func (s *storeServer) look(st *store.Store, si caps.StorageIndex, state agree.State) {
	g := s.g
	g.mu.Lock()
	old := s.held
	g.mu.Unlock()
	if old.State == state {
		return
	}
	a, err := st.Slot(context.Background(), si, storage.SlotRequest{Message: agree.Read{}, Fetch: storage.MaxSlotFetch})
	if err != nil {
		g.t.Errorf("look at a slot: %v", err)
		return
	}
	now := holdings{a, map[agree.VersionID]map[storage.ShareNumber][]byte{}}
	for _, set := range []map[storage.ShareNumber]storage.SlotShare{a.Current, a.Base, a.Older} {
		for n, share := range set {
			h, err := mutable.ParseHeader(share.Data)
			if err != nil {
				g.t.Errorf("server %d holds what is no share: %v", s.number, err)
				continue
			}
			v := storage.VersionOf(h)
			if !bytes.Equal(old.good[v][n], share.Data) {
				if _, _, err := mutable.CheckAlone(context.Background(), int(n), mutable.Bytes(share.Data)); err != nil {
					g.t.Errorf("server %d holds a bad share %d of version %d: %v", s.number, n, v.Seq, err)
					continue
				}
			}
			if now.good[v] == nil {
				now.good[v] = map[storage.ShareNumber][]byte{}
			}
			now.good[v][n] = share.Data
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	s.held = now
	g.after(s)
}

// A ledger follows one object over the servers' states: which versions were
// sent, which were chosen and what they say. It complains when a version is
// chosen that is not built on the one before, and when the newest can not be
// rebuilt from every quorum. All is guarded by the grid's mutex. A nil ledger
// follows nothing.
type ledger struct {
	g      *storeGrid
	w      *caps.MutableWriter
	q      agree.Quorums
	needed int
	votes  map[agree.Ballot]map[agree.VersionID]int // the servers, as bits
	sent   map[agree.VersionID]bool
	chosen map[agree.VersionID]string // and their contents
	newest agree.VersionID
}

// follow starts a ledger of an object with N shares on all servers. What
// servers that are taken for plain ones hold is not followed.
func follow(g *storeGrid, key *mutable.Key, needed, total int) *ledger {
	slots := make([]int, len(g.servers))
	for n := range total {
		slots[n%len(slots)]++
	}
	if g.servers[0].plain {
		return nil
	}
	q, err := agree.NewQuorums(slots, needed)
	if err != nil {
		panic(err)
	}
	l := &ledger{g: g, w: key.WriteCap(mutable.SDMF), q: q, needed: needed, votes: map[agree.Ballot]map[agree.VersionID]int{},
		sent: map[agree.VersionID]bool{}, chosen: map[agree.VersionID]string{}}
	g.after = l.after
	return l
}

func (l *ledger) after(s *storeServer) {
	st := s.held.State
	if !st.Current.IsZero() {
		l.sent[st.Current] = true
	}
	if !st.Current.IsZero() && !st.Committed {
		b := st.Accepted
		if l.votes[b] == nil {
			l.votes[b] = map[agree.VersionID]int{}
		}
		l.votes[b][st.Current] |= 1 << s.number
		quorum := l.q.Classic
		if b.IsFast() {
			quorum = l.q.Fast
		}
		if _, known := l.chosen[st.Current]; !known && bits.OnesCount(uint(l.votes[b][st.Current])) >= quorum {
			if !l.newest.IsZero() && !slices.Contains(s.held.Ancestors, l.newest) {
				l.g.t.Errorf("version %d is chosen, and not built on version %d, which was", st.Current.Seq, l.newest.Seq)
			}
			l.newest = st.Current
			text, err := l.rebuild(st.Current)
			if err != nil {
				l.g.t.Errorf("rebuild version %d: %v", st.Current.Seq, err)
			}
			l.chosen[st.Current] = text
		}
	}
	if st.Committed {
		if _, ok := l.chosen[st.Current]; !ok {
			l.g.t.Errorf("server %d takes version %d for chosen", s.number, st.Current.Seq)
		}
	}
	if !l.newest.IsZero() {
		l.recoverable()
	}
}

// recoverable: every quorum of servers holds enough of the newest version.
func (l *ledger) recoverable() {
	for set := range 1 << len(l.g.servers) {
		if bits.OnesCount(uint(set)) != l.q.Classic {
			continue
		}
		numbers := map[storage.ShareNumber]bool{}
		for _, s := range l.g.servers {
			if set>>s.number&1 == 1 {
				for n := range s.held.good[l.newest] {
					numbers[n] = true
				}
			}
		}
		if len(numbers) < l.needed {
			l.g.t.Errorf("version %d is chosen, and the servers %b hold only %d shares of it", l.newest.Seq, set, len(numbers))
			return
		}
	}
}

// rebuild reads a version from what the servers hold.
func (l *ledger) rebuild(v agree.VersionID) (string, error) {
	var shares []*mutable.Share
	for _, s := range l.g.servers {
		for n, data := range s.held.good[v] {
			share, err := mutable.OpenShare(context.Background(), l.w.Fingerprint, int(n), mutable.Bytes(data))
			if err != nil {
				return "", err
			}
			shares = append(shares, share)
		}
	}
	if len(shares) == 0 {
		return "", fmt.Errorf("no share of it")
	}
	text, err := mutable.Decode(context.Background(), l.w.ReadOnly().(*caps.MutableReader).Key, shares, 0, shares[0].DataSize)
	return string(text), err
}

// holders counts the servers that hold the newest version that was chosen.
func (l *ledger) holders() (n int) {
	l.g.mu.Lock()
	defer l.g.mu.Unlock()
	for _, s := range l.g.servers {
		if len(s.held.good[l.newest]) > 0 {
			n++
		}
	}
	return n
}

// counted is how many versions were chosen, and how many sent.
func (l *ledger) counted() (chosen, sent int) {
	if l == nil {
		return 0, 0
	}
	l.g.mu.Lock()
	defer l.g.mu.Unlock()
	return len(l.chosen), len(l.sent)
}

// tells says whether a version that was chosen until now has said text.
func (l *ledger) tells(text string) bool {
	if l == nil {
		return true
	}
	l.g.mu.Lock()
	defer l.g.mu.Unlock()
	for _, content := range l.chosen {
		if bytes.Contains([]byte(content), []byte(text)) {
			return true
		}
	}
	return false
}
