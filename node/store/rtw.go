package store

import (
	"context"

	"lafs/shares/caps"
	"lafs/shares/storage"
)

// ReadTestWrite implements storage.Slots.
func (s *Store) ReadTestWrite(ctx context.Context, si caps.StorageIndex, enabler *storage.WriteEnabler, lease *storage.LeaseSecrets,
	writes map[storage.ShareNumber]storage.TestWrite, spans []storage.Span) (success bool, data map[storage.ShareNumber][][]byte, err error) {
	return false, nil, storage.ErrBroken
}
