package mutable_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"lafs/shares/caps"
	"lafs/shares/mutable"
)

// testKey is made once: making one is slow.
var testKey = sync.OnceValue(func() *mutable.Key {
	k, err := mutable.GenerateKey()
	if err != nil {
		panic(err)
	}
	return k
})

func content(size int) []byte {
	b := make([]byte, size)
	rand.NewChaCha8([32]byte{byte(size)}).Read(b)
	return b
}

func TestRoundTrip(t *testing.T) {
	key := testKey()
	for _, f := range []mutable.Format{mutable.SDMF, mutable.MDMF} {
		for _, code := range []struct{ k, n int }{{1, 1}, {1, 3}, {3, 5}, {3, 10}, {7, 255}} {
			for _, size := range []int{0, 1, 2, 1000, 131072 - 1, 131073, 131074, 400_000} {
				if code.n == 255 && size > 1000 {
					continue
				}
				t.Run(fmt.Sprintf("%v %d of %d, %d bytes", f, code.k, code.n, size), func(t *testing.T) {
					data := content(size)
					v, err := mutable.Encode(key, mutable.Params{Format: f, Needed: code.k, Total: code.n}, 7, data)
					if err != nil {
						t.Fatal(err)
					}
					w := key.WriteCap(f)
					var shares []*mutable.Share
					for n := code.n - code.k; n < code.n; n++ {
						s, err := mutable.OpenShare(t.Context(), w.Fingerprint, n, mutable.Bytes(v.Shares[n]))
						if err != nil {
							t.Fatal(err)
						}
						if s.ShareSize() != int64(len(v.Shares[n])) || s.Seq != 7 || s.DataSize != int64(size) {
							t.Errorf("share %d: size %d, seq %d, data %d", n, s.ShareSize(), s.Seq, s.DataSize)
						}
						shares = append(shares, s)
					}
					readKey := w.ReadOnly().(*caps.MutableReader).Key
					for _, r := range [][2]int{{0, size}, {size / 2, size - size/2}, {size / 3, min(1, size)}} {
						got, err := mutable.Decode(t.Context(), readKey, shares, int64(r[0]), int64(r[1]))
						if err != nil || !bytes.Equal(got, data[r[0]:r[0]+r[1]]) {
							t.Fatalf("Decode %v: %d bytes, %v", r, len(got), err)
						}
					}
					if back, err := shares[0].Key(w); err != nil || back.Fingerprint() != key.Fingerprint() {
						t.Errorf("Key: %v", err)
					}
				})
			}
		}
	}
}

// A counting reader tells what was asked of a share.
type counting struct {
	mutable.Bytes
	requests, bytes int
}

func (c *counting) ReadShare(ctx context.Context, offset int64, p []byte) (int, error) {
	c.requests++
	n, err := c.Bytes.ReadShare(ctx, offset, p)
	c.bytes += n
	return n, err
}

// A range of a large MDMF object costs its segments and not the whole.
func TestRangeReadsLittle(t *testing.T) {
	key := testKey()
	data := content(4 << 20)
	v, err := mutable.Encode(key, mutable.Params{Format: mutable.MDMF, Needed: 1, Total: 1}, 1, data)
	if err != nil {
		t.Fatal(err)
	}
	w := key.WriteCap(mutable.MDMF)
	r := &counting{Bytes: v.Shares[0]}
	s, err := mutable.OpenShare(t.Context(), w.Fingerprint, 0, r)
	if err != nil {
		t.Fatal(err)
	}
	got, err := mutable.Decode(t.Context(), w.ReadOnly().(*caps.MutableReader).Key, []*mutable.Share{s}, 2<<20+5, 100)
	if err != nil || !bytes.Equal(got, data[2<<20+5:][:100]) {
		t.Fatalf("Decode: %v", err)
	}
	if r.requests > 3 || r.bytes > 200_000 {
		t.Errorf("%d requests, %d bytes read, want at most 3 and 200,000", r.requests, r.bytes)
	}
}

// Shares of another version, signed with the same key, do not mix.
func TestVersionsDoNotMix(t *testing.T) {
	key := testKey()
	w := key.WriteCap(mutable.SDMF)
	var shares []*mutable.Share
	for n, text := range []string{"one", "two"} {
		v, err := mutable.Encode(key, mutable.Params{Needed: 2, Total: 3}, 1, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		s, err := mutable.OpenShare(t.Context(), w.Fingerprint, n, mutable.Bytes(v.Shares[n]))
		if err != nil {
			t.Fatal(err)
		}
		shares = append(shares, s)
	}
	if _, err := mutable.Decode(t.Context(), w.ReadOnly().(*caps.MutableReader).Key, shares, 0, 3); err == nil {
		t.Error("shares of two versions were decoded together")
	}
	if _, err := mutable.Decode(t.Context(), w.ReadOnly().(*caps.MutableReader).Key, shares[:1], 0, 3); !errors.Is(err, mutable.ErrTooFew) {
		t.Errorf("one share of two: got %v, want ErrTooFew", err)
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	if got := fmt.Sprintf("%v %+v %#v %s", testKey(), testKey(), testKey(), testKey()); got != "[secret] [secret] [secret] [secret]" {
		t.Errorf("Format: got %q", got)
	}
}

func TestEncodeRefuses(t *testing.T) {
	for _, p := range []mutable.Params{{Needed: 0, Total: 3}, {Needed: 4, Total: 3}, {Needed: 3, Total: 256}, {Format: 2, Needed: 1, Total: 1}} {
		if _, err := mutable.Encode(testKey(), p, 1, nil); !errors.Is(err, mutable.ErrParams) {
			t.Errorf("Encode %+v: got %v, want ErrParams", p, err)
		}
	}
	if _, err := mutable.ParsePEM([]byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")); !errors.Is(err, mutable.ErrKey) {
		t.Errorf("ParsePEM: got %v, want ErrKey", err)
	}
}

func FuzzOpenShare(f *testing.F) {
	key := testKey()
	for _, format := range []mutable.Format{mutable.SDMF, mutable.MDMF} {
		for _, size := range []int{0, 50} {
			v, err := mutable.Encode(key, mutable.Params{Format: format, Needed: 2, Total: 3}, 1, content(size))
			if err != nil {
				f.Fatal(err)
			}
			f.Add(v.Shares[1])
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := mutable.OpenShare(t.Context(), key.Fingerprint(), 1, mutable.Bytes(b))
		if err != nil {
			if !errors.Is(err, mutable.ErrCorrupt) {
				t.Fatalf("got %v, want ErrCorrupt", err)
			}
			return
		}
		if s.Segments() > 0 {
			s.Blocks(t.Context(), 0, 1)
		}
	})
}
