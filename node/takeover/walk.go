package takeover

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"lafs/shares/caps"
	"lafs/shares/storage"
)

// A found file has a share's name.
type found struct {
	path string
	n    storage.ShareNumber
	size int64
}

// walk calls f for every storage index with the files of its shares, in the
// order of their numbers. What is something else is counted.
func (r *run) walk(ctx context.Context, f func(caps.StorageIndex, []found) error) error {
	r.ctx = ctx
	prefixes, err := os.ReadDir(r.shares)
	if err != nil {
		return fmt.Errorf("list the shares: %w", bare(err))
	}
	for _, prefix := range prefixes {
		if err := ctx.Err(); err != nil {
			return err
		}
		if prefix.Name() == "incoming" {
			r.sum.Unfinished = countFiles(filepath.Join(r.shares, "incoming"))
			continue
		}
		indexes, err := os.ReadDir(filepath.Join(r.shares, prefix.Name()))
		if err != nil {
			r.sum.Strange++
			continue
		}
		for _, e := range indexes {
			if err := ctx.Err(); err != nil {
				return err
			}
			si, err := caps.ParseStorageIndex(e.Name())
			if err != nil || !e.IsDir() || e.Name()[:2] != prefix.Name() {
				r.sum.Strange++
				continue
			}
			files, err := r.files(filepath.Join(r.shares, prefix.Name(), e.Name()))
			if err != nil {
				return fmt.Errorf("list the shares: %w", bare(err))
			}
			if err := f(si, files); err != nil {
				return err
			}
		}
	}
	return nil
}

// files lists the share files in the directory of a storage index.
func (r *run) files(dir string) (out []found, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		n, bad := strconv.ParseUint(e.Name(), 10, 8)
		if bad != nil || strconv.FormatUint(n, 10) != e.Name() || !e.Type().IsRegular() {
			r.sum.Strange++
			continue
		}
		info, err := e.Info()
		if err != nil {
			return nil, err
		}
		out = append(out, found{filepath.Join(dir, e.Name()), storage.ShareNumber(n), info.Size()})
	}
	slices.SortFunc(out, func(a, b found) int { return int(a.n) - int(b.n) })
	return out, nil
}

// countFiles counts the files in a directory and below.
func countFiles(dir string) (n int64) {
	filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			n++
		}
		return nil
	})
	return n
}
