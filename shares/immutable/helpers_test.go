package immutable_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"lafs/shares/caps"
	"lafs/shares/immutable"
)

// bytesReader reads a share from memory.
type bytesReader []byte

func (b bytesReader) ReadShare(_ context.Context, offset int64, p []byte) (int, error) {
	if offset < 0 {
		return 0, errors.New("negative offset")
	}
	if offset >= int64(len(b)) {
		return 0, nil
	}
	return copy(p, b[offset:]), nil
}

// content makes the test data that FORMATS' shares hold: block i is the
// SHA-256 of "give/TAG/i".
func content(tag string, size int) []byte {
	var out []byte
	for i := 0; len(out) < size; i++ {
		h := sha256.Sum256(fmt.Appendf(nil, "give/%s/%d", tag, i))
		out = append(out, h[:]...)
	}
	return out[:size]
}

// encodeWith makes all shares of plaintext under key.
func encodeWith(t testing.TB, p immutable.Params, plaintext []byte, key *caps.ReadKey) ([][]byte, *caps.CHK) {
	t.Helper()
	e, err := immutable.NewEncoder(p, int64(len(plaintext)), key)
	if err != nil {
		t.Fatal(err)
	}
	shares := make([][]byte, p.Total)
	for i := range shares {
		shares[i] = append(make([]byte, 0, e.ShareSize()), e.Header()...)
	}
	parts := 0
	for part := range slices.Chunk(plaintext, int(e.SegmentSize())) {
		blocks, err := e.Encode(part)
		if err != nil {
			t.Fatal(err)
		}
		for i := range shares {
			shares[i] = append(shares[i], blocks[i]...)
		}
		parts++
	}
	tails, c, err := e.Finish()
	if err != nil {
		t.Fatal(err)
	}
	for i := range shares {
		shares[i] = append(shares[i], tails[i]...)
		if int64(len(shares[i])) != e.ShareSize() {
			t.Fatalf("ShareSize: said %d, share %d has %d", e.ShareSize(), i, len(shares[i]))
		}
	}
	if parts != e.NumSegments() || e.StorageIndex() != c.StorageIndex() {
		t.Fatalf("NumSegments or StorageIndex is wrong: %d segments", parts)
	}
	return shares, c
}

// convergent makes the key of plaintext.
func convergent(t testing.TB, p immutable.Params, plaintext, secret []byte) *caps.ReadKey {
	t.Helper()
	k, err := immutable.NewKeyer(p, int64(len(plaintext)), immutable.NewConvergenceSecret(secret))
	if err != nil {
		t.Fatal(err)
	}
	for part := range slices.Chunk(plaintext, 70001) {
		if _, err := k.Write(part); err != nil {
			t.Fatal(err)
		}
	}
	key, err := k.Key()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// readBack reads the file from the shares whose numbers are in have.
func readBack(c *caps.CHK, shares map[int]immutable.ShareReader) ([]byte, error) {
	d, err := immutable.NewDecoder(c)
	if err != nil {
		return nil, err
	}
	opened := make(map[int]*immutable.Share)
	for n, r := range shares {
		if opened[n], err = d.OpenShare(context.Background(), n, r); err != nil {
			return nil, err
		}
	}
	var out []byte
	for seg := range d.NumSegments() {
		blocks := make(map[int][]byte)
		for n, s := range opened {
			b, err := s.Blocks(context.Background(), seg, 1)
			if err != nil {
				return nil, err
			}
			blocks[n] = b[0]
		}
		part, err := d.DecodeSegment(seg, blocks)
		if err != nil {
			return nil, err
		}
		out = append(out, part...)
	}
	return out, nil
}

// some picks shares by number.
func some(shares [][]byte, have []int) map[int]immutable.ShareReader {
	out := make(map[int]immutable.ShareReader)
	for _, n := range have {
		out[n] = bytesReader(shares[n])
	}
	return out
}

// subsets lists all k-subsets of the numbers below n.
func subsets(k, n int) [][]int {
	if k == 0 {
		return [][]int{nil}
	}
	var out [][]int
	for last := k - 1; last < n; last++ {
		for _, s := range subsets(k-1, last) {
			out = append(out, append(slices.Clone(s), last))
		}
	}
	return out
}

// A tahoeObject is an immutable object that Tahoe-LAFS has stored.
type tahoeObject struct {
	name   string
	cap    *caps.CHK
	sha256 string // "" for a directory
	tag    string // of content; "" where it is another
	shares [][]byte
}

// holds reports whether plaintext is the object's. The vectors have no digest
// of directories, but name a child.
func (o tahoeObject) holds(plaintext []byte) bool {
	if o.sha256 == "" {
		return bytes.Contains(plaintext, []byte("8:file.bin,"))
	}
	return hexSum(plaintext) == o.sha256
}

// tahoeObjects reads the objects of a folder with an index.json like that of
// the shared vectors' tahoe-shares.
func tahoeObjects(t testing.TB, dir string) []tahoeObject {
	t.Helper()
	var index struct {
		Objects []struct {
			Name, Cap, Sha256, Content string
			Shares                     []struct {
				Number int
				File   string
			}
		}
	}
	readJSON(t, filepath.Join(dir, "index.json"), &index)
	var out []tahoeObject
	for _, o := range index.Objects {
		parsed, err := caps.Parse(o.Cap)
		if err != nil {
			t.Fatal(err)
		}
		if dir, ok := parsed.(*caps.Directory); ok {
			parsed = dir.File()
		}
		chk, ok := parsed.(*caps.CHK)
		if !ok {
			continue
		}
		object := tahoeObject{name: o.Name, cap: chk, sha256: o.Sha256, shares: make([][]byte, len(o.Shares))}
		if o.Content != "" {
			object.tag = o.Name
		}
		for _, s := range o.Shares {
			raw, err := os.ReadFile(filepath.Join(dir, s.File))
			if err != nil {
				t.Fatal(err)
			}
			object.shares[s.Number] = stripContainer(t, raw)
		}
		out = append(out, object)
	}
	if len(out) == 0 {
		t.Fatalf("no immutable object in %s", dir)
	}
	return out
}

// stripContainer takes a share out of Tahoe's container on disk: 12 bytes
// before it, 72 behind it for each lease.
func stripContainer(t testing.TB, raw []byte) []byte {
	t.Helper()
	leases := binary.BigEndian.Uint32(raw[8:])
	return raw[12 : len(raw)-72*int(leases)]
}

func readJSON(t testing.TB, name string, to any) {
	t.Helper()
	raw, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("not among the vectors: " + filepath.Base(name))
	}
	if err == nil {
		err = json.Unmarshal(raw, to)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// vectors finds the shared test vectors, or skips the test.
func vectors(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("LAFS_VECTORS")
	if dir == "" {
		dir = "../../../shared/vectors"
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skip("no shared vectors: set LAFS_VECTORS to their folder")
	}
	return dir
}

func hexSum(b []byte) string { return fmt.Sprintf("%x", sha256.Sum256(b)) }
