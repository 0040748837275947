package store_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"lafs/node/store/ondisk"
	"lafs/shares/storage"
)

const (
	slotV1 = "Tahoe mutable container v1\n\x75\x09\x44\x03\x8e"
	slotV2 = "Tahoe mutable container v2\n\xc3\x55\x21\x99\x25"
)

// bucketContainer writes an immutable container of Tahoe-LAFS's.
func bucketContainer(version uint32, data string, leases ...uint32) []byte {
	b := binary.BigEndian.AppendUint32(nil, version)
	b = binary.BigEndian.AppendUint32(b, uint32(len(data)))
	b = binary.BigEndian.AppendUint32(b, uint32(len(leases)))
	b = append(b, data...)
	for i, ends := range leases {
		b = binary.BigEndian.AppendUint32(b, 0)
		b = append(b, bytes.Repeat([]byte{byte(i)}, 64)...)
		b = binary.BigEndian.AppendUint32(b, ends)
	}
	return b
}

// slotContainer writes a mutable container of Tahoe-LAFS's.
func slotContainer(magic string, nodeID byte, we string, data string, leases ...uint32) []byte {
	b := append([]byte(magic), bytes.Repeat([]byte{nodeID}, 20)...)
	b = append(b, (we + string(make([]byte, 32)))[:32]...)
	b = binary.BigEndian.AppendUint64(b, uint64(len(data)))
	b = binary.BigEndian.AppendUint64(b, uint64(468+len(data)))
	lease := func(i int, ends uint32) []byte {
		l := binary.BigEndian.AppendUint32(nil, 1)
		l = binary.BigEndian.AppendUint32(l, ends)
		l = append(l, bytes.Repeat([]byte{byte(i)}, 64)...)
		return append(l, make([]byte, 20)...)
	}
	var extra []byte
	for i := range max(4, len(leases)) {
		switch {
		case i >= len(leases):
			b = append(b, make([]byte, 92)...)
		case i < 4:
			b = append(b, lease(i, leases[i])...)
		default:
			extra = append(extra, lease(i, leases[i])...)
		}
	}
	b = append(b, data...)
	b = binary.BigEndian.AppendUint32(b, uint32(max(0, len(leases)-4)))
	return append(b, extra...)
}

func TestReadContainer(t *testing.T) {
	for _, c := range []struct {
		name   string
		raw    []byte
		kind   storage.Kind
		at     int64
		length int64
		leases int
		bad    bool
	}{
		{name: "bucket, version 1", raw: bucketContainer(1, "share", 5, 6), kind: storage.Immutable, at: 12, length: 5, leases: 2},
		{name: "bucket, version 2", raw: bucketContainer(2, "share", 5), kind: storage.Immutable, at: 12, length: 5, leases: 1},
		{name: "bucket without leases", raw: bucketContainer(2, "share"), kind: storage.Immutable, at: 12, length: 5},
		{name: "slot, version 1", raw: slotContainer(slotV1, 7, "we", "share", 1, 2), kind: storage.Mutable, at: 468, length: 5, leases: 2},
		{name: "slot, version 2, many leases", raw: slotContainer(slotV2, 7, "we", "share", 1, 2, 3, 4, 5, 6), kind: storage.Mutable, at: 468, length: 5, leases: 6},
		{name: "empty slot", raw: slotContainer(slotV2, 7, "we", ""), kind: storage.Mutable, at: 468},
		{name: "slot that ends with the data", raw: slotContainer(slotV2, 7, "we", "share")[:473], kind: storage.Mutable, at: 468, length: 5},
		{name: "slot cut in the data", raw: slotContainer(slotV2, 7, "we", "share")[:472], bad: true},
		{name: "slot cut in the header", raw: slotContainer(slotV2, 7, "we", "share")[:467], bad: true},
		{name: "empty bucket", raw: bucketContainer(2, "", 5), bad: true},
		{name: "bucket of a later version", raw: bucketContainer(3, "share"), bad: true},
		{name: "more leases than there are", raw: bucketContainer(2, "share", 5)[:40], bad: true},
		{name: "nothing", bad: true},
		{name: "text", raw: []byte("some text that is no container at all, and more of it"), bad: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ondisk.ReadContainer(bytes.NewReader(c.raw), int64(len(c.raw)))
			if c.bad {
				if !errors.Is(err, ondisk.ErrContainer) {
					t.Fatalf("ReadContainer: got %v, want ErrContainer", err)
				}
				return
			}
			if err != nil || got.Kind != c.kind || got.At != c.at || got.Length != c.length || len(got.Leases) != c.leases {
				t.Errorf("ReadContainer: got %+v, %v", got, err)
			}
		})
	}
	huge := slotContainer(slotV2, 7, "we", "share")
	for _, at := range []int{84, 92} {
		bad := bytes.Clone(huge)
		copy(bad[at:], bytes.Repeat([]byte{0xff}, 8))
		if _, err := ondisk.ReadContainer(bytes.NewReader(bad), int64(len(bad))); !errors.Is(err, ondisk.ErrContainer) {
			t.Errorf("a length of 2^64-1 at %d: got %v, want ErrContainer", at, err)
		}
	}
}

// TestTahoesContainers reads what a real Tahoe-LAFS wrote.
func TestTahoesContainers(t *testing.T) {
	place := os.Getenv("LAFS_VECTORS")
	if place == "" {
		place = filepath.Join("..", "..", "..", "shared", "vectors")
	}
	files, err := filepath.Glob(filepath.Join(place, "tahoe-shares", "shares", "*"))
	if err != nil || len(files) == 0 {
		t.Skip("no shared vectors: set LAFS_VECTORS to their folder")
	}
	kinds := map[storage.Kind]int{}
	for _, path := range files {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		c, err := ondisk.ReadContainer(bytes.NewReader(raw), int64(len(raw)))
		if err != nil || len(c.Leases) == 0 {
			t.Errorf("%s: got %+v, %v", filepath.Base(path), c, err)
			continue
		}
		kinds[c.Kind]++
	}
	if kinds[storage.Immutable] == 0 || kinds[storage.Mutable] == 0 {
		t.Errorf("the vectors hold %v", kinds)
	}
}

// FuzzReadContainer: what a container says stays inside of it.
func FuzzReadContainer(f *testing.F) {
	f.Add(bucketContainer(1, "share", 5, 6))
	f.Add(bucketContainer(2, "share"))
	f.Add(slotContainer(slotV1, 7, "we", "share", 1, 2, 3, 4, 5))
	f.Add(slotContainer(slotV2, 7, "we", ""))
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := ondisk.ReadContainer(bytes.NewReader(raw), int64(len(raw)))
		if err != nil {
			if !errors.Is(err, ondisk.ErrContainer) {
				t.Fatal(err)
			}
			return
		}
		if c.At < 0 || c.Length < 0 || c.At+c.Length > int64(len(raw)) || len(c.Leases) > len(raw)/72 {
			t.Fatalf("%d bytes hold %+v", len(raw), c)
		}
	})
}
