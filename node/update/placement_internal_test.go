package update

import (
	"bytes"
	"testing"

	"lafs/shares/agree"
	"lafs/shares/mutable"
	"lafs/shares/storage"
)

func someLayout(t testing.TB) (*layout, *mutable.Key) {
	key, err := mutable.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	l := &layout{needed: 1, total: 3, voters: []voter{{"v0-a", []storage.ShareNumber{0, 2}}, {"v0-b", []storage.ShareNumber{1}}}}
	if err := l.complete(); err != nil {
		t.Fatal(err)
	}
	if err := l.sign(key); err != nil {
		t.Fatal(err)
	}
	return l, key
}

func FuzzParseLayout(f *testing.F) {
	l, _ := someLayout(f)
	f.Add(l.raw)
	f.Add(l.raw[:20])
	f.Fuzz(func(t *testing.T, raw []byte) {
		l, text, _, _, err := parseLayout(raw)
		if err == nil && !bytes.Equal(l.marshal(), text) {
			t.Errorf("%x is read as %x", text, l.marshal())
		}
	})
}

// A list that was changed anywhere is not believed.
func TestLayoutSigned(t *testing.T) {
	l, key := someLayout(t)
	if _, err := openLayout(key.Fingerprint(), l.raw); err != nil {
		t.Fatal(err)
	}
	for i := range l.raw {
		bad := bytes.Clone(l.raw)
		bad[i] ^= 1
		if _, err := openLayout(key.Fingerprint(), bad); err == nil {
			t.Errorf("byte %d changed: the list is believed", i)
		}
	}
}

func TestChoose(t *testing.T) {
	for _, tt := range []struct{ known, needed, total, servers, shares, down int }{
		{10, 3, 10, 10, 10, 3},
		{5, 3, 10, 5, 10, 1},
		{3, 3, 10, 3, 10, 1},
		{3, 2, 3, 3, 6, 1},
		{1, 3, 10, 1, 10, 0},
	} {
		m, n := choose(tt.known, tt.needed, tt.total)
		q, err := agree.NewQuorums(spread(m, n), tt.needed)
		if err != nil || m != tt.servers || n != tt.shares || m-q.Classic != tt.down {
			t.Errorf("choose(%d, %d of %d) = %d servers, %d shares, %d may be down; %v", tt.known, tt.needed, tt.total, m, n, m-q.Classic, err)
		}
	}
}
