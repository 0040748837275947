package tail

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"testing"

	"lafs/shares/agree"
	"lafs/shares/storage"
)

func version(seq uint64) agree.VersionID { return agree.VersionID{Seq: seq, Root: [32]byte{byte(seq)}} }

func full() *record {
	r := &record{step: 7, nonce: [16]byte{1, 2, 3}, number: 5, of: version(3), seen: true,
		state: agree.State{Promised: agree.Ballot{N: 9, Nonce: 8, Fast: 1}, Accepted: agree.Ballot{N: 9, Nonce: 8, Fast: 1},
			Current: version(3), Base: agree.Base{Version: version(2)}},
		ancestors: []agree.VersionID{version(2), version(1)}, placement: []byte("where"), baseSize: 3, baseHash: [32]byte{4}}
	r.setBody()
	return r
}

// TestRecord: a record is read as it was written, and not at all if any bit
// of it is another.
func TestRecord(t *testing.T) {
	r := full()
	body := r.setBody()
	head := r.head()
	if len(head) != headSize {
		t.Fatalf("the head has %d bytes, want %d", len(head), headSize)
	}
	got := parseHead(append(bytes.Clone(head), body...))
	if got == nil || !got.parseBody(body) || !reflect.DeepEqual(got, r) {
		t.Errorf("parseHead: got %+v, want %+v", got, r)
	}
	for i := range head {
		bad := bytes.Clone(head)
		bad[i] ^= 1
		if parseHead(bad) != nil {
			t.Errorf("a head with another byte %d is read", i)
		}
	}
	for i := range body {
		bad := bytes.Clone(body)
		bad[i] ^= 1
		if parseHead(head).parseBody(bad) {
			t.Errorf("a body with another byte %d is read", i)
		}
	}
	if parseHead(head[:headSize-1]) != nil || parseHead(head).parseBody(body[1:]) {
		t.Error("a record that is cut is read")
	}
}

// TestRecordBytes keeps the format: others have records in it.
func TestRecordBytes(t *testing.T) {
	const want = "6c6166737461696c" + "00000001" + "0000000000000007" + "01020300000000000000000000000000" + "05" + "04" +
		"000000000000000900000000000000080000000000000001" + "000000000000000900000000000000080000000000000001" +
		"0000000000000003" + "0300000000000000000000000000000000000000000000000000000000000000" +
		"0000000000000002" + "0200000000000000000000000000000000000000000000000000000000000000" +
		"0000000000000003" + "0300000000000000000000000000000000000000000000000000000000000000" +
		"02" + "00000005" + "0000000000000003"
	if got := hex.EncodeToString(full().head()); got[:len(want)] != want {
		t.Errorf("the head begins\n%s, want\n%s", got[:len(want)], want)
	}
}

func FuzzRecord(f *testing.F) {
	r := full()
	body := r.setBody()
	f.Add(append(r.head(), body...))
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := parseHead(b)
		if r == nil {
			return
		}
		if r.bodySize > maxBody || r.baseSize < 0 || r.baseSize > storage.MaxSlotShare {
			t.Errorf("%d bytes of lists, %d of a base", r.bodySize, r.baseSize)
		}
		if r.parseBody(b[headSize:min(int64(len(b)), headSize+r.bodySize)]) {
			if again := parseHead(r.head()); again == nil || !again.parseBody(r.setBody()) || !reflect.DeepEqual(again, r) {
				t.Errorf("it is not written as it was read: %+v", r)
			}
		}
	})
}

// FuzzShare: whatever a server shows, parsing ends, and says what it needs.
func FuzzShare(f *testing.F) {
	r := full()
	f.Add(append(r.head(), r.setBody()...), int64(0), true)
	f.Add([]byte{0, 1, 2}, int64(100), false)
	f.Fuzz(func(t *testing.T, b []byte, at int64, ended bool) {
		if at < 0 || at > 1<<40 {
			return
		}
		sh := &share{pieces: pieces{{data: b[:len(b)/2], ended: ended}, {at: at, data: b[len(b)/2:], ended: true}}}
		for range 10 {
			needs := sh.parse(nil)
			if (len(needs) == 0) != sh.complete {
				t.Fatalf("complete is %v and it needs %v", sh.complete, needs)
			}
			for _, n := range needs {
				if n.Offset < 0 || n.Size <= 0 || n.Size > max(scanned, maxBody) {
					t.Fatalf("it needs %+v", n)
				}
				sh.pieces = append(sh.pieces, piece{at: n.Offset, data: make([]byte, n.Size)})
			}
			if len(needs) == 0 {
				s := assemble(map[storage.ShareNumber]*share{0: sh})
				s.needs(wanted{at, 100})
				s.answer(wanted{at, 100}, true, false)
				return
			}
		}
		t.Fatal("it needs more and more")
	})
}
