package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"lafs/shares/storage"
)

type numbers = []storage.ShareNumber

func version(f *fixture) {
	v, err := f.server.Version(f.ctx)
	if err != nil || v.MaxImmutableShareSize == 0 || v.AvailableSpace == 0 {
		f.Errorf("Version: got %+v, %v", v, err)
	}
}

func unknown(f *fixture) {
	f.holds()
	_, err := f.server.Read(f.ctx, storage.Immutable, f.si, 0, 0, make([]byte, 1))
	f.want("Read", err, storage.ErrNotFound)
	_, err = f.server.Write(f.ctx, f.si, 0, f.upload, 0, []byte("x"))
	f.want("Write", err, storage.ErrNotFound)
	f.want("Abort", f.server.Abort(f.ctx, f.si, 0, f.upload), storage.ErrNotFound)
	f.want("AddLease", f.server.AddLease(f.ctx, f.si, f.lease), storage.ErrNotFound)
	f.want("AdviseCorrupt", f.server.AdviseCorrupt(f.ctx, storage.Immutable, f.si, 0, "why"), storage.ErrNotFound)
}

func putAndGet(f *fixture) {
	for n, size := range []int{1, 2, 127, 128, 4096, 65535, 65536, 65537, 1 << 20} {
		data := random(size)
		f.put(storage.ShareNumber(n), data)
		f.isShare(storage.ShareNumber(n), data)
	}
	f.holds(0, 1, 2, 3, 4, 5, 6, 7, 8)
}

func boundaries(f *fixture) {
	data := random(300_000)
	f.put(3, data)
	size := int64(len(data))
	for _, tt := range []struct{ offset, length int64 }{
		{0, 1}, {0, size}, {0, size - 1}, {1, size - 1}, {1, size}, {size - 1, 1}, {size - 1, 2}, {size, 1}, {size + 1, 1},
		{size, 0}, {0, 0}, {0, size + 1}, {5, size + 100_000}, {1 << 40, 10}, {1<<63 - 20, 10}, {1<<63 - 2, 10}, {100, 65536}, {131072, 131072},
	} {
		begin := min(tt.offset, size)
		want := data[begin:min(begin+tt.length, size)]
		if got := f.read(3, tt.offset, int(tt.length)); !bytes.Equal(got, want) {
			f.Errorf("Read of %d at %d: got %d bytes, want %d", tt.length, tt.offset, len(got), len(want))
		}
	}
	_, err := f.server.Read(f.ctx, storage.Immutable, f.si, 3, -1, make([]byte, 4))
	f.want("Read at -1", err, storage.ErrBadRequest)
	_, err = f.server.Read(f.ctx, storage.Immutable, f.si, 4, 0, nil)
	f.want("Read of nothing of no share", err, storage.ErrNotFound)
}

func outOfOrder(f *fixture) {
	data := random(100)
	f.allocate(100, 9)
	for _, tt := range []struct {
		begin, end int64
		missing    []storage.Range
	}{
		{90, 100, []storage.Range{{Begin: 0, End: 90}}},
		{10, 20, []storage.Range{{Begin: 0, End: 10}, {Begin: 20, End: 90}}},
		{40, 50, []storage.Range{{Begin: 0, End: 10}, {Begin: 20, End: 40}, {Begin: 50, End: 90}}},
		{15, 45, []storage.Range{{Begin: 0, End: 10}, {Begin: 50, End: 90}}},
		{50, 90, []storage.Range{{Begin: 0, End: 10}}},
		{0, 100, nil},
	} {
		if got := f.write(9, tt.begin, data[tt.begin:tt.end]); !slices.Equal(got, tt.missing) {
			f.Errorf("Write [%d, %d): got missing %v, want %v", tt.begin, tt.end, got, tt.missing)
		}
	}
	f.isShare(9, data)
}

func writingTwice(f *fixture) {
	data := random(1000)
	f.allocate(1000, 0)
	f.write(0, 0, data[:500])
	f.write(0, 0, data[:500])
	f.write(0, 100, data[100:600])
	other := bytes.Clone(data)
	other[550] ^= 1
	_, err := f.server.Write(f.ctx, f.si, 0, f.upload, 0, other)
	f.want("Write of different bytes", err, storage.ErrConflict)
	f.holds()
	if got := f.write(0, 599, data[599:]); len(got) != 0 {
		f.Errorf("Write of the rest: still missing %v", got)
	}
	f.isShare(0, data)
	_, err = f.server.Write(f.ctx, f.si, 0, f.upload, 0, data)
	f.want("Write to a whole share", err, storage.ErrNotFound)
	_, err = f.server.Write(f.ctx, f.si, 0, f.upload, 0, other)
	f.want("Write of different bytes to a whole share", err, storage.ErrNotFound)
	f.isShare(0, data)
}

func badRequests(f *fixture) {
	for _, size := range []int64{0, -1} {
		_, err := f.server.Allocate(f.ctx, f.si, numbers{0}, size, f.upload, f.lease)
		f.want(fmt.Sprintf("Allocate of %d bytes", size), err, storage.ErrBadRequest)
	}
	for _, n := range []int{0, 257} {
		_, err := f.server.Allocate(f.ctx, f.si, numbers{0}, 10, storage.NewUploadSecret(make([]byte, n)), f.lease)
		f.want(fmt.Sprintf("Allocate with a secret of %d bytes", n), err, storage.ErrBadRequest)
	}
	f.allocate(10, 0)
	for _, tt := range []struct {
		offset int64
		data   string
	}{{-1, "x"}, {0, ""}, {0, "01234567890"}, {10, "x"}, {9, "xx"}, {1 << 40, "x"}, {1<<63 - 1, "x"}} {
		_, err := f.server.Write(f.ctx, f.si, 0, f.upload, tt.offset, []byte(tt.data))
		f.want(fmt.Sprintf("Write of %q at %d", tt.data, tt.offset), err, storage.ErrBadRequest)
	}
	if got := f.write(0, 0, []byte("0123456789")); len(got) != 0 {
		f.Errorf("Write after refused ones: missing %v", got)
	}
}

func allocatingTwice(f *fixture) {
	if a := f.allocate(10, 4, 1, 1, 4); !slices.Equal(a.Allocated, numbers{1, 4}) || len(a.AlreadyHave) != 0 {
		f.Errorf("Allocate: got %+v, want 1 and 4", a)
	}
	f.write(1, 0, []byte("01234"))
	a := f.allocate(10, 1, 2)
	if !slices.Equal(a.Allocated, numbers{1, 2}) {
		f.Errorf("Allocate again: got %+v, want 1 and 2", a)
	}
	// A server may tell what is missing, and then truly.
	if m, ok := a.Missing[1]; ok && !slices.Equal(m, []storage.Range{{Begin: 5, End: 10}}) || len(a.Missing[2]) > 0 {
		f.Errorf("Allocate again: got %v missing, want [5, 10) of 1", a.Missing)
	}
	if got := f.write(1, 5, []byte("56789")); len(got) != 0 {
		f.Errorf("Write after allocating again: missing %v", got)
	}
	if a := f.allocate(11, 2); len(a.Allocated) != 0 {
		f.Errorf("Allocate with another size: got %+v", a)
	}
	if a := f.allocate(10); len(a.Allocated) != 0 {
		f.Errorf("Allocate of nothing: got %+v", a)
	}
	f.isShare(1, []byte("0123456789"))
}

func alreadyHave(f *fixture) {
	f.put(5, []byte("old"))
	a := f.allocate(3, 4, 5)
	if !slices.Equal(a.AlreadyHave, numbers{5}) || !slices.Equal(a.Allocated, numbers{4}) {
		f.Errorf("Allocate: got %+v, want 5 held and 4 allocated", a)
	}
	if a := f.allocate(3); !slices.Equal(a.AlreadyHave, numbers{5}) {
		f.Errorf("Allocate of nothing: got %+v, want 5 held", a)
	}
	f.upload = storage.GenerateUploadSecret()
	if a := f.allocate(77, 5); !slices.Equal(a.AlreadyHave, numbers{5}) {
		f.Errorf("Allocate with another secret and size: got %+v, want 5 held", a)
	}
	f.isShare(5, []byte("old"))
	f.holds(5)
}

func invisible(f *fixture) {
	f.allocate(10, 0, 1)
	f.write(0, 0, []byte("012345678"))
	f.holds()
	_, err := f.server.Read(f.ctx, storage.Immutable, f.si, 0, 0, make([]byte, 1))
	f.want("Read of an upload", err, storage.ErrNotFound)
	f.want("AddLease to uploads", f.server.AddLease(f.ctx, f.si, f.lease), storage.ErrNotFound)
	f.want("AdviseCorrupt of an upload", f.server.AdviseCorrupt(f.ctx, storage.Immutable, f.si, 0, "why"), storage.ErrNotFound)
}

func abort(f *fixture) {
	f.allocate(10, 0, 1)
	f.write(0, 0, []byte("01234"))
	f.want("Abort", f.server.Abort(f.ctx, f.si, 0, f.upload), nil)
	f.want("Abort again", f.server.Abort(f.ctx, f.si, 0, f.upload), storage.ErrNotFound)
	_, err := f.server.Write(f.ctx, f.si, 0, f.upload, 0, []byte("01234"))
	f.want("Write after Abort", err, storage.ErrNotFound)
	f.write(1, 0, []byte("0123456789"))
	f.want("Abort of a whole share", f.server.Abort(f.ctx, f.si, 1, f.upload), storage.ErrComplete)
	f.holds(1)
	f.upload = storage.GenerateUploadSecret()
	f.put(0, []byte("other bytes"))
	f.isShare(0, []byte("other bytes"))
}

func anotherSecret(f *fixture) {
	f.allocate(4, 0)
	other := storage.GenerateUploadSecret()
	_, err := f.server.Write(f.ctx, f.si, 0, other, 0, []byte("evil"))
	f.want("Write", err, storage.ErrUnauthorized)
	f.want("Abort", f.server.Abort(f.ctx, f.si, 0, other), storage.ErrUnauthorized)
	a, err := f.server.Allocate(f.ctx, f.si, numbers{0}, 4, other, f.lease)
	if err != nil || len(a.Allocated)+len(a.AlreadyHave) != 0 {
		f.Errorf("Allocate of a share that another uploads: got %+v, %v, want neither list", a, err)
	}
	f.write(0, 0, []byte("good"))
	f.isShare(0, []byte("good"))
}

func shareNumbers(f *fixture) {
	var all numbers
	for n := range 256 {
		all = append(all, storage.ShareNumber(n))
	}
	if a := f.allocate(5, all...); !slices.Equal(a.Allocated, all) {
		f.Fatalf("Allocate of 256 shares: got %d", len(a.Allocated))
	}
	for _, n := range []storage.ShareNumber{255, 0, 100} {
		f.write(n, 0, []byte(fmt.Sprintf("%5d", n)))
	}
	f.holds(0, 100, 255)
	f.isShare(255, []byte("  255"))
}

func noSpace(f *fixture) {
	a, err := f.server.Allocate(f.ctx, f.si, numbers{0, 1}, 1<<55, f.upload, f.lease)
	if err != nil || len(a.Allocated)+len(a.AlreadyHave) != 0 {
		f.Errorf("Allocate of 32 PiB: got %+v, %v, want neither list", a, err)
	}
	f.put(0, []byte("small"))
}

func leases(f *fixture) {
	f.put(0, []byte("x"))
	for range 2 {
		f.want("AddLease", f.server.AddLease(f.ctx, f.si, f.lease), nil)
	}
	f.want("AddLease of another", f.server.AddLease(f.ctx, f.si, newLease()), nil)
}

func advice(f *fixture) {
	f.put(0, []byte("x"))
	for _, reason := range []string{"a", "größer\n\"quoted\"", strings.Repeat("r", 32757)} {
		f.want("AdviseCorrupt", f.server.AdviseCorrupt(f.ctx, storage.Immutable, f.si, 0, reason), nil)
	}
	for _, reason := range []string{"", strings.Repeat("r", 32766), "\xff"} {
		if err := f.server.AdviseCorrupt(f.ctx, storage.Immutable, f.si, 0, reason); !errors.Is(err, storage.ErrBadRequest) && !errors.Is(err, storage.ErrTooLarge) {
			f.Errorf("AdviseCorrupt with a bad reason of %d bytes: got %v", len(reason), err)
		}
	}
	f.want("AdviseCorrupt of another share", f.server.AdviseCorrupt(f.ctx, storage.Immutable, f.si, 1, "a"), storage.ErrNotFound)
	f.isShare(0, []byte("x"))
}

func concurrentShares(f *fixture) {
	const count = 16
	data := random(20_000)
	var wg sync.WaitGroup
	for n := range storage.ShareNumber(count) {
		wg.Go(func() {
			mine := *f
			mine.upload = storage.GenerateUploadSecret()
			a, err := f.server.Allocate(f.ctx, f.si, numbers{n}, int64(len(data)), mine.upload, f.lease)
			if err != nil || len(a.Allocated) != 1 {
				f.Errorf("Allocate of share %d: got %+v, %v", n, a, err)
				return
			}
			for at := 0; at < len(data); at += 5000 {
				if _, err := f.server.Write(f.ctx, f.si, n, mine.upload, int64(at), data[at:at+5000]); err != nil {
					f.Errorf("Write of share %d: %v", n, err)
				}
			}
		})
	}
	wg.Wait()
	for n := range storage.ShareNumber(count) {
		f.isShare(n, data)
	}
}

// concurrentWriters race for one share: each writes its own bytes under its
// own secret, and exactly one wins.
func concurrentWriters(f *fixture) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var winner []byte
	for range 8 {
		wg.Go(func() {
			data, secret := random(5000), storage.GenerateUploadSecret()
			a, err := f.server.Allocate(f.ctx, f.si, numbers{0}, 5000, secret, f.lease)
			if err != nil {
				f.Errorf("Allocate: %v", err)
				return
			}
			if len(a.Allocated) == 0 {
				return
			}
			missing, err := f.server.Write(f.ctx, f.si, 0, secret, 0, data)
			mu.Lock()
			defer mu.Unlock()
			if err != nil || len(missing) > 0 || winner != nil {
				f.Errorf("Write: got %v, %v; a winner before: %v", missing, err, winner != nil)
			}
			winner = data
		})
	}
	wg.Wait()
	f.isShare(0, winner)
}

func cancelled(f *fixture) {
	f.put(0, []byte("x"))
	ctx, cancel := context.WithCancel(f.ctx)
	cancel()
	_, err := f.server.Version(ctx)
	f.want("Version", err, context.Canceled)
	_, err = f.server.Allocate(ctx, f.si, numbers{1}, 1, f.upload, f.lease)
	f.want("Allocate", err, context.Canceled)
	_, err = f.server.Write(ctx, f.si, 1, f.upload, 0, []byte("x"))
	f.want("Write", err, context.Canceled)
	f.want("Abort", f.server.Abort(ctx, f.si, 1, f.upload), context.Canceled)
	_, err = f.server.Shares(ctx, storage.Immutable, f.si)
	f.want("Shares", err, context.Canceled)
	_, err = f.server.Read(ctx, storage.Immutable, f.si, 0, 0, make([]byte, 1))
	f.want("Read", err, context.Canceled)
	f.want("AddLease", f.server.AddLease(ctx, f.si, f.lease), context.Canceled)
	f.want("AdviseCorrupt", f.server.AdviseCorrupt(ctx, storage.Immutable, f.si, 0, "a"), context.Canceled)
	f.isShare(0, []byte("x"))
}

func (s *suite) abandoned(f *fixture) {
	if s.advance == nil {
		f.Skip("this server's clock can not be moved")
	}
	f.allocate(10, 0, 1)
	f.write(0, 0, []byte("01234"))
	s.advance(29 * time.Minute)
	f.write(0, 5, []byte("5678"))
	s.advance(2 * time.Minute)
	_, err := f.server.Write(f.ctx, f.si, 1, f.upload, 0, []byte("x"))
	f.want("Write 31 minutes after Allocate", err, storage.ErrNotFound)
	s.advance(27 * time.Minute)
	f.write(0, 8, []byte("8"))
	s.advance(30 * time.Minute)
	_, err = f.server.Write(f.ctx, f.si, 0, f.upload, 9, []byte("9"))
	f.want("Write 30 minutes after the last", err, storage.ErrNotFound)
	f.holds()
	f.upload = storage.GenerateUploadSecret()
	f.put(0, []byte("another"))
	f.isShare(0, []byte("another"))
}
