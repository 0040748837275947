package storagetest

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"sync"

	"lafs/shares/caps"
	"lafs/shares/storage"
)

// A Plain keeps slots in memory as a server of Tahoe-LAFS's does: it knows
// shares and read-test-writes, and nothing of votes. All methods may be
// called at once.
type Plain struct {
	// After, if not nil, is called after each read-test-write that wrote,
	// one at a time. It must not call the server.
	After func(si caps.StorageIndex)

	mu    sync.Mutex
	slots map[caps.StorageIndex]*plainSlot // guarded by mu
}

type plainSlot struct {
	enabler storage.WriteEnabler
	shares  map[storage.ShareNumber][]byte
}

// Shares lists the shares of a slot.
func (p *Plain) Shares(ctx context.Context, kind storage.Kind, si caps.StorageIndex) ([]storage.ShareNumber, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if kind != storage.Mutable || p.slots[si] == nil {
		return nil, ctx.Err()
	}
	return slices.Sorted(maps.Keys(p.slots[si].shares)), ctx.Err()
}

// Read reads from a share.
func (p *Plain) Read(ctx context.Context, kind storage.Kind, si caps.StorageIndex, n storage.ShareNumber, offset int64, b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if s := p.slots[si]; kind == storage.Mutable && s != nil && s.shares[n] != nil {
		return copy(b, cut(s.shares[n], storage.Span{Offset: offset, Size: int64(len(b))})), nil
	}
	return 0, storage.ErrNotFound
}

// AddLease knows whether there is a slot.
func (p *Plain) AddLease(_ context.Context, si caps.StorageIndex, _ *storage.LeaseSecrets) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.slots[si] == nil {
		return storage.ErrNotFound
	}
	return nil
}

func cut(b []byte, s storage.Span) []byte {
	from := min(s.Offset, int64(len(b)))
	return b[from : from+min(s.Size, int64(len(b))-from)]
}

// ReadTestWrite does as storage.Slots says.
func (p *Plain) ReadTestWrite(ctx context.Context, si caps.StorageIndex, enabler *storage.WriteEnabler, lease *storage.LeaseSecrets,
	writes map[storage.ShareNumber]storage.TestWrite, spans []storage.Span) (bool, map[storage.ShareNumber][][]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return false, nil, err
	}
	s := p.slots[si]
	if s == nil {
		s = &plainSlot{enabler: *enabler, shares: map[storage.ShareNumber][]byte{}}
	}
	if s.enabler != *enabler {
		return false, nil, storage.ErrUnauthorized
	}
	data := map[storage.ShareNumber][][]byte{}
	for n, b := range s.shares {
		for _, span := range spans {
			data[n] = append(data[n], bytes.Clone(cut(b, span)))
		}
	}
	for n, w := range writes {
		for _, t := range w.Tests {
			if !bytes.Equal(cut(s.shares[n], t.Span), t.Specimen) {
				return false, data, nil
			}
		}
	}
	for n, w := range writes {
		s.write(n, w)
	}
	if p.slots == nil {
		p.slots = map[caps.StorageIndex]*plainSlot{}
	}
	if p.slots[si] = s; len(s.shares) == 0 {
		delete(p.slots, si)
	}
	if len(writes) > 0 && p.After != nil {
		p.After(si)
	}
	return true, data, nil
}

func (s *plainSlot) write(n storage.ShareNumber, w storage.TestWrite) {
	if w.NewLength != nil && *w.NewLength == 0 {
		delete(s.shares, n)
		return
	}
	b := append([]byte{}, s.shares[n]...)
	for _, patch := range w.Patches {
		if more := patch.Offset + int64(len(patch.Data)) - int64(len(b)); more > 0 {
			b = append(b, make([]byte, more)...)
		}
		copy(b[patch.Offset:], patch.Data)
	}
	if w.NewLength != nil && *w.NewLength < int64(len(b)) {
		b = b[:*w.NewLength]
	}
	s.shares[n] = b
}

// Share returns a copy of a share's bytes, with all that stands behind it.
func (p *Plain) Share(si caps.StorageIndex, n storage.ShareNumber) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.slots[si] == nil {
		return nil
	}
	return bytes.Clone(p.slots[si].shares[n])
}

// Put writes over the beginning of a share and leaves what is behind, as a
// Tahoe-LAFS client does.
func (p *Plain) Put(si caps.StorageIndex, n storage.ShareNumber, data []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.slots[si].write(n, storage.TestWrite{Patches: []storage.Patch{{Data: data}}})
}

// Set replaces a share; nil removes it.
func (p *Plain) Set(si caps.StorageIndex, n storage.ShareNumber, data []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if data == nil {
		delete(p.slots[si].shares, n)
	} else {
		p.slots[si].shares[n] = bytes.Clone(data)
	}
}
