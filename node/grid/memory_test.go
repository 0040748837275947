package grid_test

import (
	"context"
	"slices"
	"sync"

	"lafs/shares/caps"
	"lafs/shares/storage"
)

// A memServer is a storage.Server in memory with a fault in front.
type memServer struct {
	mu      sync.Mutex
	whole   map[caps.StorageIndex]map[storage.ShareNumber][]byte
	partial map[caps.StorageIndex]map[storage.ShareNumber]*partial
	written int64
	advised int
	leases  int // renewed
	space   uint64
	calls   map[string]int
	full    bool
	// fault, if set, is asked before each call; an error is the answer.
	fault func(ctx context.Context, call string) error
	// loseWrites is how many answers to the last writes of shares are lost.
	loseWrites int
}

type partial struct {
	data    []byte
	missing []storage.Range
	secret  string
}

func newMemServer() *memServer {
	return &memServer{
		whole:   make(map[caps.StorageIndex]map[storage.ShareNumber][]byte),
		partial: make(map[caps.StorageIndex]map[storage.ShareNumber]*partial),
		calls:   make(map[string]int),
	}
}

func (m *memServer) enter(ctx context.Context, call string) error {
	m.mu.Lock()
	m.calls[call]++
	fault := m.fault
	m.mu.Unlock()
	if fault != nil {
		if err := fault(ctx, call); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (m *memServer) setFault(f func(ctx context.Context, call string) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fault = f
}

func (m *memServer) Version(ctx context.Context) (storage.Version, error) {
	return storage.Version{AvailableSpace: m.space}, m.enter(ctx, "version")
}

func (m *memServer) Allocate(ctx context.Context, si caps.StorageIndex, shares []storage.ShareNumber, size int64, upload *storage.UploadSecret, _ *storage.LeaseSecrets) (storage.Allocation, error) {
	if err := m.enter(ctx, "allocate"); err != nil {
		return storage.Allocation{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var al storage.Allocation
	for n := range m.whole[si] {
		al.AlreadyHave = append(al.AlreadyHave, n)
	}
	for _, n := range shares {
		if m.full || m.whole[si][n] != nil {
			continue
		}
		if m.partial[si] == nil {
			m.partial[si] = make(map[storage.ShareNumber]*partial)
		}
		p := m.partial[si][n]
		if p == nil {
			p = &partial{data: make([]byte, size), missing: without([]storage.Range{{End: size}}, storage.Range{}), secret: string(upload.Bytes())}
			m.partial[si][n] = p
		}
		if p.secret == string(upload.Bytes()) {
			al.Allocated = append(al.Allocated, n)
		}
	}
	return al, nil
}

func (m *memServer) Write(ctx context.Context, si caps.StorageIndex, n storage.ShareNumber, upload *storage.UploadSecret, offset int64, data []byte) ([]storage.Range, error) {
	if err := m.enter(ctx, "write"); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.partial[si][n]
	switch {
	case p == nil:
		return nil, storage.ErrNotFound
	case p.secret != string(upload.Bytes()):
		return nil, storage.ErrUnauthorized
	}
	m.written += int64(len(data))
	copy(p.data[offset:], data)
	p.missing = without(p.missing, storage.Range{Begin: offset, End: offset + int64(len(data))})
	if len(p.missing) == 0 {
		delete(m.partial[si], n)
		if m.whole[si] == nil {
			m.whole[si] = make(map[storage.ShareNumber][]byte)
		}
		m.whole[si][n] = p.data
		if m.loseWrites > 0 {
			m.loseWrites--
			return nil, storage.ErrUnreachable
		}
	}
	return p.missing, nil
}

// without returns the ranges without what is in x, in a slice of its own.
func without(ranges []storage.Range, x storage.Range) (out []storage.Range) {
	for _, r := range ranges {
		for _, left := range []storage.Range{{Begin: r.Begin, End: min(r.End, x.Begin)}, {Begin: max(r.Begin, x.End), End: r.End}} {
			if left.Begin < left.End {
				out = append(out, left)
			}
		}
	}
	return out
}

func (m *memServer) Abort(ctx context.Context, si caps.StorageIndex, n storage.ShareNumber, upload *storage.UploadSecret) error {
	if err := m.enter(ctx, "abort"); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := m.partial[si][n]; p != nil && p.secret != string(upload.Bytes()) {
		return storage.ErrUnauthorized
	}
	delete(m.partial[si], n)
	return nil
}

func (m *memServer) Shares(ctx context.Context, _ storage.Kind, si caps.StorageIndex) ([]storage.ShareNumber, error) {
	if err := m.enter(ctx, "shares"); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []storage.ShareNumber
	for n := range m.whole[si] {
		out = append(out, n)
	}
	slices.Sort(out)
	return out, nil
}

func (m *memServer) Read(ctx context.Context, _ storage.Kind, si caps.StorageIndex, n storage.ShareNumber, offset int64, p []byte) (int, error) {
	if err := m.enter(ctx, "read"); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	data, ok := m.whole[si][n]
	if !ok {
		return 0, storage.ErrNotFound
	}
	return copy(p, data[min(offset, int64(len(data))):]), nil
}

func (m *memServer) AddLease(ctx context.Context, si caps.StorageIndex, _ *storage.LeaseSecrets) error {
	if err := m.enter(ctx, "lease"); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.whole[si]) == 0 {
		return storage.ErrNotFound
	}
	m.leases++
	return nil
}

func (m *memServer) AdviseCorrupt(ctx context.Context, _ storage.Kind, _ caps.StorageIndex, _ storage.ShareNumber, _ string) error {
	m.mu.Lock()
	m.advised++
	m.mu.Unlock()
	return m.enter(ctx, "advise")
}

// count returns how many whole shares there are.
func (m *memServer) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, bucket := range m.whole {
		n += len(bucket)
	}
	return n
}

// flip corrupts one byte in the middle of every share.
func (m *memServer) flip() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, bucket := range m.whole {
		for _, share := range bucket {
			share[0x24+(len(share)-0x24)/4] ^= 1
		}
	}
}
