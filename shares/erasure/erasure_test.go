package erasure_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"lafs/shares/erasure"
)

// encode codes the k blocks of primary into n.
func encode(t testing.TB, k, n int, primary []byte) [][]byte {
	t.Helper()
	c, err := erasure.New(k, n)
	if err != nil {
		t.Fatal(err)
	}
	size := len(primary) / k
	blocks := make([][]byte, n)
	for i := range blocks {
		blocks[i] = make([]byte, size)
		if i < k {
			copy(blocks[i], primary[i*size:])
		}
	}
	if err := c.Encode(blocks); err != nil {
		t.Fatal(err)
	}
	return blocks
}

// decode gives the k blocks back from those whose numbers are in have.
func decode(t testing.TB, k, n int, blocks [][]byte, have []int) []byte {
	t.Helper()
	c, err := erasure.New(k, n)
	if err != nil {
		t.Fatal(err)
	}
	some := make([][]byte, n)
	for _, i := range have {
		some[i] = blocks[i]
	}
	if err := c.Decode(some); err != nil {
		t.Fatal(err)
	}
	return bytes.Join(some[:k], nil)
}

// TestSmallVector has two rows of zfec's output, so that it means something
// where the shared vectors are absent.
func TestSmallVector(t *testing.T) {
	raw, err := os.ReadFile("testdata/zfec.txt")
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for line := range strings.Lines(string(raw)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		lines++
		var k, n int
		var in, out string
		fmt.Sscan(line, &k, &n, &in, &out)
		primary, _ := hex.DecodeString(in)
		if got := hex.EncodeToString(bytes.Join(encode(t, k, n, primary), nil)); got != out {
			t.Errorf("Encode %d of %d: got %s, want %s", k, n, got, out)
		}
	}
	if lines == 0 {
		t.Error("no vector in testdata")
	}
}

func TestVectors(t *testing.T) {
	dir := os.Getenv("LAFS_VECTORS")
	if dir == "" {
		dir = "../../../shared/vectors"
	}
	ins, _ := filepath.Glob(filepath.Join(dir, "zfec", "*.in"))
	if len(ins) == 0 {
		t.Skip("no zfec vectors: set LAFS_VECTORS to the folder of the shared vectors")
	}
	for _, name := range ins {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".in"), func(t *testing.T) {
			var k, n int
			fmt.Sscanf(filepath.Base(name), "%d_%d.in", &k, &n)
			in, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			out, err := os.ReadFile(strings.TrimSuffix(name, ".in") + ".out")
			if err != nil {
				t.Fatal(err)
			}
			blocks := encode(t, k, n, in)
			if !bytes.Equal(bytes.Join(blocks, nil), out) {
				t.Fatal("Encode: not what zfec makes")
			}
			last := make([]int, k)
			for i := range last {
				last[i] = n - k + i
			}
			if !bytes.Equal(decode(t, k, n, blocks, last), in) {
				t.Fatal("Decode: the last k blocks do not give the data back")
			}
		})
	}
}

func TestAnyKOfN(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 256).Draw(t, "N")
		k := rapid.IntRange(1, n).Draw(t, "k")
		size := rapid.IntRange(1, 40).Draw(t, "size")
		data := rapid.SliceOfN(rapid.Byte(), k*size, k*size).Draw(t, "data")
		c, err := erasure.New(k, n)
		if err != nil {
			t.Fatal(err)
		}
		blocks := make([][]byte, n)
		for i := range blocks {
			blocks[i] = make([]byte, size)
			if i < k {
				copy(blocks[i], data[i*size:])
			}
		}
		if err := c.Encode(blocks); err != nil {
			t.Fatal(err)
		}
		order := rapid.Permutation(numbers(n)).Draw(t, "order")
		for _, i := range order[k:] {
			blocks[i] = nil
		}
		if err := c.Decode(blocks); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(bytes.Join(blocks[:k], nil), data) {
			t.Fatal("Decode: not the data")
		}
	})
}

func numbers(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

func TestDecodeUsesRoom(t *testing.T) {
	blocks := encode(t, 2, 4, []byte("abcdef"))
	c, _ := erasure.New(2, 4)
	room := make([]byte, 3)
	some := [][]byte{room[:0], nil, blocks[2], blocks[3]}
	if err := c.Decode(some); err != nil || string(room) != "abc" || string(some[1]) != "def" {
		t.Errorf("Decode: got %q in the room, %q outside, %v", room, some[1], err)
	}
}

func TestRefused(t *testing.T) {
	for _, kn := range [][2]int{{0, 0}, {0, 3}, {4, 3}, {-1, 3}, {1, 257}, {257, 257}} {
		if _, err := erasure.New(kn[0], kn[1]); err == nil {
			t.Errorf("New(%d, %d): no error", kn[0], kn[1])
		}
	}
	c, _ := erasure.New(2, 3)
	for name, blocks := range map[string][][]byte{
		"too few places":  {{1}, {2}},
		"too many places": {{1}, {2}, {3}, {4}},
		"uneven":          {{1, 2}, nil, {3}},
		"too few blocks":  {{1}, nil, nil},
		"nothing":         {nil, nil, nil},
	} {
		if c.Decode(blocks) == nil {
			t.Errorf("Decode, %s: no error", name)
		}
		if c.Encode(blocks) == nil {
			t.Errorf("Encode, %s: no error", name)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 50 {
				k := 1 + (g+i)%7
				n := k + i%40
				data := bytes.Repeat([]byte{byte(g), byte(i)}, k)
				last := numbers(n)[n-k:]
				if !bytes.Equal(decode(t, k, n, encode(t, k, n, data), last), data) {
					t.Error("Decode: not the data")
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkEncode3of10(b *testing.B) {
	data := make([]byte, 3*349526)
	c, _ := erasure.New(3, 10)
	blocks := encode(b, 3, 10, data)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		c.Encode(blocks)
	}
}
