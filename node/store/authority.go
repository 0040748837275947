package store

import (
	"context"
	"maps"
	"math"

	"lafs/node/store/ondisk"
	"lafs/shares/caps"
	"lafs/shares/storage"
)

// An Authority is who stored something.
type Authority = ondisk.Authority

const (
	// Own is this node itself.
	Own = ondisk.Own
	// Default is whoever has the swissnum that the node announces.
	Default = ondisk.Default
)

// A Usage is what one authority has stored.
type Usage struct {
	Shares int64 // whole ones
	// Disk is what they take of the disk, in whole blocks and with their part
	// of a directory, so that many small shares cost what they cost. A quota
	// counts it, together with Reserved.
	Disk int64
	// Reserved is promised to unfinished uploads.
	Reserved int64
}

// An account is a Usage with its bound. Store.mu guards it.
type account struct {
	Usage
	quota   int64 // bytes of Disk and Reserved
	uploads int   // unfinished ones
	parts   int   // of these, scattered ones
}

// account returns that of who. s.mu is held.
func (s *Store) account(who Authority) *account {
	a := s.accounts[who]
	if a == nil {
		a = &account{quota: math.MaxInt64}
		s.accounts[who] = a
	}
	return a
}

// left is what the quota still has room for.
func (a *account) left() int64 { return max(a.quota-a.Disk-a.Reserved, 0) }

// SetQuotas replaces the quotas of all authorities, in bytes of Usage.Disk;
// those that are not named have none. What is stored already stays where it
// is more.
func (s *Store) SetQuotas(quotas map[Authority]int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.accounts {
		a.quota = math.MaxInt64
	}
	for who, q := range quotas {
		s.account(who).quota = max(q, 0)
	}
}

// Usage tells what each authority has stored.
func (s *Store) Usage() map[Authority]Usage {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[Authority]Usage{}
	for who, a := range s.accounts {
		if a.Usage != (Usage{}) {
			out[who] = a.Usage
		}
	}
	return out
}

// A Server is what a node serves to others.
type Server interface {
	storage.Server
	storage.Slots
}

// As is the store as one authority uses it: what is stored this way is
// charged to it, and its quota bounds it. A slot stays charged to who made
// it. Everybody sees the same shares.
func (s *Store) As(who Authority) Server { return view{s, who} }

// A view is a Store used by one authority.
type view struct {
	*Store
	who Authority
}

func (v view) Version(ctx context.Context) (storage.Version, error) { return v.version(ctx, v.who) }

func (v view) Allocate(ctx context.Context, si caps.StorageIndex, numbers []storage.ShareNumber, size int64, secret *storage.UploadSecret, ls *storage.LeaseSecrets) (storage.Allocation, error) {
	return v.allocate(ctx, v.who, si, numbers, size, secret, ls)
}

func (v view) ReadTestWrite(ctx context.Context, si caps.StorageIndex, enabler *storage.WriteEnabler, lease *storage.LeaseSecrets,
	writes map[storage.ShareNumber]storage.TestWrite, spans []storage.Span) (bool, map[storage.ShareNumber][][]byte, error) {
	return v.readTestWrite(ctx, v.who, si, enabler, lease, writes, spans)
}

func (v view) Slot(ctx context.Context, si caps.StorageIndex, req storage.SlotRequest) (storage.SlotAnswer, error) {
	return v.slot(ctx, v.who, si, req)
}

// Version implements storage.Server, for Own.
func (s *Store) Version(ctx context.Context) (storage.Version, error) { return s.version(ctx, Own) }

// Allocate implements storage.Server, for Own.
func (s *Store) Allocate(ctx context.Context, si caps.StorageIndex, numbers []storage.ShareNumber, size int64, secret *storage.UploadSecret, ls *storage.LeaseSecrets) (storage.Allocation, error) {
	return s.allocate(ctx, Own, si, numbers, size, secret, ls)
}

// ReadTestWrite implements storage.Slots, for Own. Of a share that is patched
// a new file is made, so that the step is atomic: that costs the time to copy
// the share, but no memory.
func (s *Store) ReadTestWrite(ctx context.Context, si caps.StorageIndex, enabler *storage.WriteEnabler, lease *storage.LeaseSecrets,
	writes map[storage.ShareNumber]storage.TestWrite, spans []storage.Span) (bool, map[storage.ShareNumber][][]byte, error) {
	return s.readTestWrite(ctx, Own, si, enabler, lease, writes, spans)
}

// Slot implements storage.Slots, for Own.
func (s *Store) Slot(ctx context.Context, si caps.StorageIndex, req storage.SlotRequest) (storage.SlotAnswer, error) {
	return s.slot(ctx, Own, si, req)
}

// used is what the index says of all shares.
type used map[Authority]Usage

func (u used) add(who Authority, shares, disk int64) {
	t := u[who]
	t.Shares += shares
	t.Disk += disk
	u[who] = t
}

// charged makes the accounts those of an index that was just opened.
func (s *Store) charged(u used) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for who := range maps.Keys(u) {
		s.account(who).Usage = u[who]
	}
}
