package immutable_test

import (
	"bytes"
	"path/filepath"
	"slices"
	"testing"

	"lafs/shares/caps"
	"lafs/shares/immutable"
)

// TestCapVectors makes the cap of every CHK vector of Tahoe-LAFS from its
// plaintext and convergence secret.
func TestCapVectors(t *testing.T) {
	var file struct {
		Vector []struct {
			Convergence []byte
			Expected    string
			Format      struct{ Kind string }
			Sample      struct {
				Seed   []byte
				Length int
			}
			Zfec struct {
				Required, Total int
				SegmentSize     int64
			}
		}
	}
	readJSON(t, filepath.Join(vectors(t), "capabilities.json"), &file)
	count := 0
	for i, v := range file.Vector {
		if v.Format.Kind != "chk" {
			continue
		}
		count++
		plaintext := bytes.Repeat(v.Sample.Seed, v.Sample.Length/len(v.Sample.Seed)+1)[:v.Sample.Length]
		p := immutable.Params{Needed: v.Zfec.Required, Total: v.Zfec.Total, MaxSegmentSize: v.Zfec.SegmentSize}
		if got := capOf(t, p, plaintext, v.Convergence); got != v.Expected {
			t.Errorf("vector %d, %d of %d, %d bytes: got %q, want %q", i, p.Needed, p.Total, len(plaintext), got, v.Expected)
		}
	}
	t.Logf("%d CHK vectors", count)
	if count == 0 {
		t.Error("no CHK vector in the file")
	}
}

// capOf encodes without keeping the shares.
func capOf(t *testing.T, p immutable.Params, plaintext, secret []byte) string {
	e, err := immutable.NewEncoder(p, int64(len(plaintext)), convergent(t, p, plaintext, secret))
	if err != nil {
		t.Fatal(err)
	}
	for part := range slices.Chunk(plaintext, int(e.SegmentSize())) {
		if _, err := e.Encode(part); err != nil {
			t.Fatal(err)
		}
	}
	_, c, err := e.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return c.Reveal()
}

// TestOwnVectors is the part of TestCapVectors that goes without the shared
// vectors.
func TestOwnVectors(t *testing.T) {
	var file []struct {
		Secret, Seed []byte
		Size         int
		K, N         int
		Expected     string
	}
	readJSON(t, "testdata/caps.json", &file)
	for _, v := range file {
		p := immutable.Params{Needed: v.K, Total: v.N, MaxSegmentSize: immutable.OldSegmentSize}
		if got := capOf(t, p, bytes.Repeat(v.Seed, v.Size/len(v.Seed)+1)[:v.Size], v.Secret); got != v.Expected {
			t.Errorf("%d of %d, %d bytes: got %q, want %q", v.K, v.N, v.Size, got, v.Expected)
		}
	}
}

// eachTahoeObject runs f on the objects in testdata, and on those of the
// shared vectors if they are there.
func eachTahoeObject(t *testing.T, f func(t *testing.T, o tahoeObject)) {
	run := func(dir string) func(t *testing.T) {
		return func(t *testing.T) {
			for _, o := range tahoeObjects(t, dir) {
				t.Run(o.name, func(t *testing.T) { f(t, o) })
			}
		}
	}
	t.Run("own", run("testdata"))
	t.Run("shared", func(t *testing.T) { run(filepath.Join(vectors(t), "tahoe-shares"))(t) })
}

// TestReadTahoe reads what Tahoe-LAFS has stored from every k-subset of its
// shares.
func TestReadTahoe(t *testing.T) {
	eachTahoeObject(t, func(t *testing.T, o tahoeObject) {
		for _, have := range subsets(o.cap.Needed, o.cap.Total) {
			got, err := readBack(o.cap, some(o.shares, have))
			if err != nil || !o.holds(got) {
				t.Errorf("shares %v: %d bytes, %v", have, len(got), err)
			}
		}
	})
}

// TestWriteLikeTahoe compares our shares with Tahoe's for the same content
// and key: all but the order of the share hash chain.
func TestWriteLikeTahoe(t *testing.T) {
	eachTahoeObject(t, func(t *testing.T, o tahoeObject) {
		plaintext := content(o.tag, int(o.cap.Size))
		if o.tag == "" {
			plaintext, _ = readBack(o.cap, some(o.shares, []int{0, 1, 2}))
		}
		if !o.holds(plaintext) {
			t.Fatal("the test's plaintext is not the vector's")
		}
		for _, segSize := range []int64{immutable.DefaultSegmentSize, immutable.OldSegmentSize} {
			p := immutable.Params{Needed: o.cap.Needed, Total: o.cap.Total, MaxSegmentSize: segSize}
			shares, c := encodeWith(t, p, plaintext, o.cap.Key)
			if c.Reveal() != o.cap.Reveal() {
				continue
			}
			for i := range shares {
				if !bytes.Equal(sortChain(shares[i]), sortChain(o.shares[i])) {
					t.Errorf("share %d differs from Tahoe's", i)
				}
			}
			return
		}
		t.Error("the cap differs from Tahoe's with both segment sizes")
	})
}

// sortChain puts the entries of a version 1 share's hash chain in order.
func sortChain(share []byte) []byte {
	out := slices.Clone(share)
	from, to := be32(out[0x1c:]), be32(out[0x20:])
	entries := slices.Collect(slices.Chunk(slices.Clone(out[from:to]), 34))
	slices.SortFunc(entries, bytes.Compare)
	copy(out[from:], bytes.Join(entries, nil))
	return out
}

func be32(b []byte) int { return int(b[0])<<24 | int(b[1])<<16 | int(b[2])<<8 | int(b[3]) }

func TestLiterals(t *testing.T) {
	var index struct {
		Objects []struct{ Cap, Sha256 string }
	}
	readJSON(t, filepath.Join(vectors(t), "tahoe-shares", "index.json"), &index)
	count := 0
	for _, o := range index.Objects {
		c, err := caps.Parse(o.Cap)
		if err != nil {
			t.Fatal(err)
		}
		if dir, ok := c.(*caps.Directory); ok {
			c = dir.File()
		}
		if lit, ok := c.(*caps.LIT); ok {
			count++
			if o.Sha256 != "" && hexSum(lit.Data()) != o.Sha256 {
				t.Error("a literal's content is wrong")
			}
		}
	}
	if count == 0 {
		t.Error("no literal among the vectors")
	}
}
