// Package takeover moves what a storage server of Tahoe-LAFS's holds into a
// store of ours: its shares, in containers of both kinds and versions
// (FORMATS.md section 7), with their leases.
//
// Each share is checked as far as that goes without its cap. One that no
// reader could open is left where it is; one that is damaged only in part is
// taken all the same, since its other blocks may be the last that are left,
// and noted in the store's corruption advisories.
//
// Nothing of Tahoe-LAFS's directory is changed, except that files that are
// linked become read-only: a server that was started there once more would
// write into files that are also ours.
package takeover

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"lafs/node/store"
	"lafs/shares/caps"
	"lafs/shares/storage"
)

// Config says what is taken from where.
type Config struct {
	// From is Tahoe-LAFS's storage directory, on which no server runs.
	From string
	// Store gets the shares, and is used by nobody else. Nil is a dry run:
	// shares are found and checked, and stay where they are.
	Store *store.Store
	// TubID is that of the store: slots that another server took can be read
	// only.
	TubID [20]byte
	// Link makes hard links instead of copies.
	Link bool
	// Trust leaves out the check of contents: readers check them anyway.
	Trust bool
	// Progress is told now and then of what is done; nil is nobody.
	Progress func(Summary)
	// Left is told of each share that is left where it is; nil is nobody.
	Left func(Left)
}

// A Summary is what was found and done. Sizes are in bytes.
type Summary struct {
	// Found and FoundBytes are the share files, and Looked those of them
	// that were dealt with so far.
	Found       int64 `json:"found"`
	FoundBytes  int64 `json:"found_bytes"`
	Looked      int64 `json:"looked_at"`
	LookedBytes int64 `json:"looked_at_bytes"`
	// Taken are those taken over, or that would be in a dry run; Before
	// those that were by an earlier run.
	Taken      int64 `json:"taken"`
	TakenBytes int64 `json:"taken_bytes"`
	Before     int64 `json:"taken_before"`
	// Immutable and Mutable are the kinds of those taken.
	Immutable int64 `json:"immutable"`
	Mutable   int64 `json:"mutable"`
	// Damaged are those taken that are damaged in part, and Unchecked those
	// taken whose content could not be checked.
	Damaged   int64 `json:"damaged"`
	Unchecked int64 `json:"unchecked"`
	// Left are those that stay where they are.
	Left int64 `json:"left"`
	// Leases are those of the shares taken, before those of several shares
	// of one storage index are merged.
	Leases int64 `json:"leases"`
	// Foreign are the slots taken whose write enabler another server has
	// taken: they can be read only.
	Foreign int64 `json:"read_only_slots"`
	// Votes are the slots taken with what lafs clients had voted for on them.
	Votes int64 `json:"slots_with_votes"`
	// Unfinished are uploads that were never completed, and Strange files
	// and directories that no server puts there. They are not looked at.
	Unfinished int64 `json:"unfinished_uploads"`
	Strange    int64 `json:"strange_files"`
}

// A Left is a share that is left where it is.
type Left struct {
	// Path is relative to the storage directory. It holds the storage index.
	Path string
	// Why is for a person, and has nothing of the share's.
	Why string
}

// A batch is what one call of TakeOver gets, at most.
const (
	batchShares = 1024
	batchBytes  = 256 << 20
)

// Run takes everything over that is not taken yet. It can be cut off at any
// instant and run again. Its errors are ctx's, the store's, and those of a
// directory that is no storage directory; a share that is wrong is no error.
func Run(ctx context.Context, cfg Config) (Summary, error) {
	r := &run{cfg: cfg, shares: filepath.Join(cfg.From, "shares")}
	info, err := os.Stat(r.shares)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
		return r.sum, errors.New("there is no storage directory of a Tahoe-LAFS server: it has no directory named shares")
	}
	if err != nil {
		return r.sum, fmt.Errorf("look at the storage directory: %w", bare(err))
	}
	for _, pass := range []func(caps.StorageIndex, []found) error{r.count, r.take} {
		r.sum.Unfinished, r.sum.Strange = 0, 0
		if err := r.walk(ctx, pass); err != nil {
			return r.sum, err
		}
	}
	err = r.flush(ctx)
	r.tell()
	return r.sum, err
}

// A run is one call of Run.
type run struct {
	cfg    Config
	shares string // the directory
	ctx    context.Context
	sum    Summary
	// batch waits to be taken, and damaged are those of it, or of shares
	// that wait with it, that need an advisory.
	batch   []store.Takeover
	bytes   int64
	damaged []damage
}

type damage struct {
	kind storage.Kind
	si   caps.StorageIndex
	n    storage.ShareNumber
	why  string
}

func (r *run) tell() {
	if r.cfg.Progress != nil {
		r.cfg.Progress(r.sum)
	}
}

// count adds what is found in one directory.
func (r *run) count(_ caps.StorageIndex, files []found) error {
	for _, f := range files {
		r.sum.Found++
		r.sum.FoundBytes += f.size
	}
	return nil
}

// take deals with the shares of one storage index.
func (r *run) take(si caps.StorageIndex, files []found) error {
	var slot slot
	defer func() { slot.close() }()
	for _, f := range files {
		r.sum.Looked++
		r.sum.LookedBytes += f.size
		file, c := r.open(f)
		if c == nil {
			continue
		}
		if c.Kind == storage.Mutable {
			slot = append(slot, member{f, file, c})
			continue
		}
		sh, err := r.judge(si, f, file, c, nil)
		file.Close()
		if err != nil {
			return err
		}
		if sh != nil {
			r.add(*sh)
		}
	}
	if len(slot) > 0 {
		if err := r.slot(si, slot); err != nil {
			return err
		}
	}
	if len(r.batch) >= batchShares || r.bytes >= batchBytes {
		return r.flush(r.ctx)
	}
	return nil
}

// add takes a share into the batch.
func (r *run) add(sh store.Takeover) {
	r.batch = append(r.batch, sh)
	r.bytes += sh.Length
	r.sum.Taken++
	r.sum.TakenBytes += sh.Length
	r.sum.Leases += int64(len(sh.Leases))
	if sh.Kind == storage.Mutable {
		r.sum.Mutable++
	} else {
		r.sum.Immutable++
	}
}

// flush takes the batch over.
func (r *run) flush(ctx context.Context) error {
	if r.cfg.Store != nil && len(r.batch) > 0 {
		if err := r.cfg.Store.TakeOver(ctx, r.batch, r.cfg.Link); err != nil {
			return err
		}
		for _, d := range r.damaged {
			err := r.cfg.Store.AdviseCorrupt(ctx, d.kind, d.si, d.n, "found when the share was taken over: "+d.why)
			// Of a slot, not all shares can be seen.
			if err != nil && !errors.Is(err, storage.ErrNotFound) {
				return err
			}
		}
	}
	clear(r.batch)
	r.batch, r.bytes, r.damaged = r.batch[:0], 0, nil
	r.tell()
	return ctx.Err()
}

// left says why a share stays where it is.
func (r *run) left(f found, why string) {
	r.sum.Left++
	if r.cfg.Left != nil {
		path, err := filepath.Rel(r.cfg.From, f.path)
		if err != nil {
			path = filepath.Base(f.path)
		}
		r.cfg.Left(Left{path, why})
	}
}

// bare takes the path out of an error of package os.
func bare(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}
