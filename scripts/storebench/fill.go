package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"lafs/node/store"
	"lafs/shares/caps"
)

const shareSize = 1024

// index is the storage index of the share i.
func index(i int) caps.StorageIndex {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte("storebench"), uint64(i)))
	return caps.StorageIndex(sum[:16])
}

func config(dir string) store.Config {
	return store.Config{Dir: filepath.Join(dir, "storage"), Witness: filepath.Join(dir, "witness"), TubID: [20]byte{1}}
}

// fill makes the directories, if they are not there. Shares are written as
// files, past the store, and the index is made of them.
func (b *bench) fill(ctx context.Context) error {
	for dir, n := range map[string]int{b.small(): few, b.large(): b.shares} {
		if _, err := os.Stat(filepath.Join(dir, "full")); err == nil {
			continue
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		s, err := store.Open(config(dir))
		if err == nil {
			err = s.Close()
		}
		if err != nil {
			return err
		}
		began := time.Now()
		if err := write(ctx, filepath.Join(config(dir).Dir, "shares"), n); err != nil {
			return err
		}
		unix.Sync()
		made := time.Since(began)
		began = time.Now()
		if _, err := store.Check(ctx, config(dir), store.CheckOptions{Rebuild: true}); err != nil {
			return err
		}
		if n != few {
			row("files of all shares made", "%.0f s", made.Seconds())
			row("fsck --rebuild of them", "%.0f s", time.Since(began).Seconds())
		}
		if err := os.WriteFile(filepath.Join(dir, "full"), nil, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func write(ctx context.Context, dir string, n int) error {
	names := make([]caps.StorageIndex, n)
	for i := range names {
		names[i] = index(i)
	}
	// In their order, the directories that are written are few at a time.
	slices.SortFunc(names, func(a, b caps.StorageIndex) int { return slices.Compare(a[:], b[:]) })
	var jobs errgroup.Group
	jobs.SetLimit(4)
	for part := range slices.Chunk(names, 1024) {
		if err := ctx.Err(); err != nil {
			return errors.Join(err, jobs.Wait())
		}
		jobs.Go(func() error {
			for _, si := range part {
				name := si.String()
				bucket := filepath.Join(dir, name[:2], name)
				if err := os.MkdirAll(bucket, 0o700); err != nil {
					return err
				}
				if err := os.WriteFile(filepath.Join(bucket, "0"), file(si), 0o600); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return jobs.Wait()
}

// file is a share file of format 2 as node/store describes it.
func file(si caps.StorageIndex) []byte {
	b := make([]byte, 128+shareSize)
	copy(b, "lafsshr\n")
	b[11], b[12] = 2, 1
	copy(b[16:], si[:])
	binary.BigEndian.PutUint64(b[32:], shareSize)
	b[40] = 1
	b[95] = 1
	sum := sha256.Sum256(b[:96])
	copy(b[96:], sum[:])
	return b
}
