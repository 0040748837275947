// Package storagetest is the contract that every storage.Server keeps. Run
// it against each of them: on disk, and at the far end of a wire.
package storagetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"testing"
	"time"

	"lafs/shares/caps"
	"lafs/shares/storage"
)

// An Option changes what Run does.
type Option func(*suite)

// Clock gives Run the hook that moves the server's clock on. Without it the
// parts of the contract that need time are skipped.
func Clock(advance func(time.Duration)) Option { return func(s *suite) { s.advance = advance } }

// Except leaves out the tests of these names, which do not hold for the
// server.
func Except(names ...string) Option { return func(s *suite) { s.except = names } }

type suite struct {
	open    func(t *testing.T) storage.Server
	advance func(time.Duration)
	except  []string
}

// Run checks the servers that open returns: each is empty, has room for some
// MiB, and is closed by the test's cleanup.
func Run(t *testing.T, open func(t *testing.T) storage.Server, options ...Option) {
	s := &suite{open: open}
	for _, o := range options {
		o(s)
	}
	for _, tt := range []struct {
		name string
		run  func(*fixture)
	}{
		{"version", version},
		{"unknown index", unknown},
		{"put and get", putAndGet},
		{"reading at the boundaries", boundaries},
		{"writing out of order", outOfOrder},
		{"writing twice", writingTwice},
		{"bad requests", badRequests},
		{"allocating twice", allocatingTwice},
		{"already have", alreadyHave},
		{"uploads are invisible", invisible},
		{"abort", abort},
		{"another secret", anotherSecret},
		{"share numbers", shareNumbers},
		{"no space", noSpace},
		{"leases", leases},
		{"corruption advice", advice},
		{"concurrent shares", concurrentShares},
		{"concurrent writers of one share", concurrentWriters},
		{"cancelled context", cancelled},
		{"abandoned uploads", s.abandoned},
	} {
		if !slices.Contains(s.except, tt.name) {
			t.Run(tt.name, func(t *testing.T) { tt.run(newFixture(t, s.open(t))) })
		}
	}
}

// A fixture is a server and the secrets of one client.
type fixture struct {
	*testing.T
	ctx    context.Context
	server storage.Server
	si     caps.StorageIndex
	upload *storage.UploadSecret
	lease  *storage.LeaseSecrets
}

func newFixture(t *testing.T, server storage.Server) *fixture {
	f := &fixture{T: t, ctx: t.Context(), server: server, upload: storage.GenerateUploadSecret(), lease: newLease()}
	f.si = newIndex()
	return f
}

func newIndex() (si caps.StorageIndex) {
	rand.Read(si[:])
	return si
}

func newLease() *storage.LeaseSecrets {
	l := &storage.LeaseSecrets{}
	rand.Read(l.Renew[:])
	rand.Read(l.Cancel[:])
	return l
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

func (f *fixture) want(what string, got, want error) {
	f.Helper()
	wantError(f.T, what, got, want)
}

func wantError(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: got error %v, want %v", what, got, want)
	}
}

func (f *fixture) allocate(size int64, numbers ...storage.ShareNumber) storage.Allocation {
	f.Helper()
	a, err := f.server.Allocate(f.ctx, f.si, numbers, size, f.upload, f.lease)
	if err != nil {
		f.Fatalf("Allocate: %v", err)
	}
	return a
}

func (f *fixture) write(n storage.ShareNumber, offset int64, data []byte) []storage.Range {
	f.Helper()
	missing, err := f.server.Write(f.ctx, f.si, n, f.upload, offset, data)
	if err != nil {
		f.Fatalf("Write of %d bytes at %d: %v", len(data), offset, err)
	}
	return missing
}

// put stores a whole share.
func (f *fixture) put(n storage.ShareNumber, data []byte) {
	f.Helper()
	if a := f.allocate(int64(len(data)), n); !slices.Equal(a.Allocated, []storage.ShareNumber{n}) {
		f.Fatalf("Allocate of share %d: got %+v", n, a)
	}
	if missing := f.write(n, 0, data); len(missing) > 0 {
		f.Fatalf("Write of all bytes: still missing %v", missing)
	}
}

func (f *fixture) read(n storage.ShareNumber, offset int64, length int) []byte {
	f.Helper()
	p := make([]byte, length)
	got, err := f.server.Read(f.ctx, storage.Immutable, f.si, n, offset, p)
	if err != nil {
		f.Fatalf("Read of %d bytes at %d: %v", length, offset, err)
	}
	return p[:got]
}

func (f *fixture) holds(want ...storage.ShareNumber) {
	f.Helper()
	got, err := f.server.Shares(f.ctx, storage.Immutable, f.si)
	if err != nil || !slices.Equal(got, want) {
		f.Errorf("Shares: got %v, %v, want %v", got, err, want)
	}
}

func (f *fixture) isShare(n storage.ShareNumber, data []byte) {
	f.Helper()
	if got := f.read(n, 0, len(data)+10); !bytes.Equal(got, data) {
		f.Errorf("Read of share %d: not what was written (%d bytes, want %d)", n, len(got), len(data))
	}
}
