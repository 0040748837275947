package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"lafs/node/durable"
)

// A part is a file that a get has begun: FILE.part holds the first bytes of
// what FILE shall be, and FILE.part.state says how many of them are known to
// be good, by their hash, and of which file on the grid. Neither holds a cap
// or a key. Another get of the same file into FILE goes on where the first
// was interrupted, at whatever instant that was. A part is for one goroutine,
// and locked against other processes.
type part struct {
	target string
	f      *os.File
	state  partState // as it is on the disk
	sum    hash.Hash // of the first size bytes
	size   int64     // bytes that stand in the file
	begun  int64     // of them, those that an earlier get left
}

// A partState is what FILE.part.state holds, as JSON.
type partState struct {
	Format int
	// File is a hash of what the node calls the bytes of the file, "" while
	// that is not known. It gives no right to read.
	File string
	// Good is how many bytes were on the disk, and Sum their SHA-256.
	Good int64
	Sum  string
}

const (
	partFormat = 1
	maxState   = 4 << 10
	// markEvery is how many bytes an interruption without warning may cost.
	markEvery = 8 << 20
)

func partPath(target string) string { return target + ".part" }

func (p *part) statePath() string { return partPath(p.target) + ".state" }

// openPart opens what an earlier get of target left, and locks it. fresh
// removes that first.
func openPart(target string, fresh bool) (*part, error) {
	p := &part{target: target, sum: sha256.New()}
	for {
		held, err := p.open(fresh)
		if err != nil {
			return nil, pathReason("write "+partPath(target), err)
		}
		if held {
			break
		}
	}
	good := p.load()
	if err := p.keep(good); err != nil {
		p.f.Close()
		return nil, pathReason("write "+partPath(target), err)
	}
	p.begun = p.size
	return p, nil
}

// open is false when another process put the file in its place just now.
func (p *part) open(fresh bool) (bool, error) {
	path := partPath(p.target)
	known, err := ours(p.statePath())
	if err == nil {
		_, err = ours(path)
	}
	if st, serr := os.Lstat(path); err == nil && serr == nil && !known && st.Size() > 0 {
		err = errForeign
	}
	if errors.Is(err, errForeign) && fresh {
		// The directory's rules say whether this may be done.
		for _, name := range []string{path, p.statePath()} {
			if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return false, err
			}
		}
		known, err = false, nil
	}
	if err != nil {
		return false, err
	}
	if !known {
		// Before there is anything: a file without its state is not ours.
		if err := p.writeState(); err != nil {
			return false, err
		}
		if there, err := ours(p.statePath()); there && errors.Is(err, errForeign) {
			os.Remove(p.statePath())
			return false, errNoModes
		}
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return false, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = errors.New("another lafs get is writing it")
		}
		return false, err
	}
	mine, err := f.Stat()
	if err == nil {
		if there, lerr := os.Lstat(path); lerr != nil || !os.SameFile(mine, there) {
			f.Close()
			return false, nil
		}
		if !onlyOurs(mine) { // it was put there in between
			err = errForeign
		} else if mine.Mode().Perm()&0o077 != 0 {
			_ = f.Chmod(0o600) // where others may read it, that is how its place is
		}
	}
	if err == nil && fresh {
		p.state = partState{}
		err = errors.Join(f.Truncate(0), p.writeState())
	}
	if err != nil {
		f.Close()
		return false, err
	}
	p.f = f
	return true, nil
}

// errForeign is a file that no get of this user left: in a directory where
// others write too, it could be meant to become the beginning of ours.
var errForeign = fmt.Errorf("%w, and was not left by a lafs get of yours; move it away, or let --no-resume replace it", fs.ErrExist)

// errNoModes is a place where every file is everybody's to write, such as a
// stick that is mounted so: who left a part there cannot be told.
var errNoModes = errors.New("this file system keeps no permissions")

// ours reports whether there is a file that only this user can have written,
// or none; else the error is errForeign.
func ours(path string) (there bool, err error) {
	st, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if !onlyOurs(st) {
		return true, errForeign
	}
	return true, nil
}

// onlyOurs reports whether nobody else can have written a file, and it is no
// other one too: who links a file of ours into its place would have us cut it
// short. Others may read all that is on file systems without permissions, as
// sticks have.
func onlyOurs(st fs.FileInfo) bool {
	owner, ok := st.Sys().(*syscall.Stat_t)
	return ok && int(owner.Uid) == os.Geteuid() && st.Mode().IsRegular() && owner.Nlink <= 1 && st.Mode().Perm()&0o022 == 0
}

// load reads the state, hashes what should be good, and returns how much is.
func (p *part) load() int64 {
	p.state = partState{}
	f, err := os.OpenFile(p.statePath(), os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return 0
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || !onlyOurs(st) {
		return 0
	}
	text, err := io.ReadAll(io.LimitReader(f, maxState))
	var s partState
	if err != nil || json.Unmarshal(text, &s) != nil || s.Format != partFormat || s.Good < 0 {
		return 0
	}
	n, err := io.Copy(p.sum, io.NewSectionReader(p.f, 0, s.Good))
	if err != nil || n != s.Good || hex.EncodeToString(p.sum.Sum(nil)) != s.Sum {
		return 0
	}
	p.state = s
	return s.Good
}

// keep makes the first good bytes, which sum has seen, all that there is.
func (p *part) keep(good int64) error {
	if good == 0 {
		p.sum.Reset()
		p.state = partState{}
	}
	p.size = good
	if err := p.f.Truncate(good); err != nil {
		return err
	}
	_, err := p.f.Seek(good, io.SeekStart)
	return err
}

// fileName is what a state remembers of an entity tag, "" of none.
func fileName(tag string) string {
	if tag == "" {
		return ""
	}
	sum := sha256.Sum256([]byte("lafs part of a file v1\x00" + tag))
	return hex.EncodeToString(sum[:16])
}

// continues reports whether what the node calls tag is the file that the part
// is of, so that the rest of it can be added.
func (p *part) continues(tag string) bool { return tag != "" && p.state.File == fileName(tag) }

// restart forgets what there is, for a file that the node calls tag.
func (p *part) restart(tag string) error {
	p.begun = 0
	if err := p.keep(0); err != nil {
		return pathReason("write "+partPath(p.target), err)
	}
	p.state.File = fileName(tag)
	return p.writeState()
}

// Write adds bytes.
func (p *part) Write(b []byte) (int, error) {
	n, err := p.f.Write(b)
	p.sum.Write(b[:n])
	p.size += int64(n)
	if err != nil {
		return n, pathReason("write "+partPath(p.target), err)
	}
	if p.size-p.state.Good >= markEvery && p.state.File != "" {
		return n, p.mark()
	}
	return n, nil
}

// last is the last byte that there is.
func (p *part) last() (byte, error) {
	var b [1]byte
	_, err := p.f.ReadAt(b[:], p.size-1)
	return b[0], err
}

// mark makes all that was written durable, and says so in the state.
func (p *part) mark() error {
	if err := p.f.Sync(); err != nil {
		return pathReason("write "+partPath(p.target), err)
	}
	p.state.Good, p.state.Sum = p.size, hex.EncodeToString(p.sum.Sum(nil))
	return p.writeState()
}

func (p *part) writeState() error {
	p.state.Format = partFormat
	text, err := json.Marshal(p.state)
	if err != nil {
		return err
	}
	return durable.WriteFile(p.statePath(), append(text, '\n'), 0o600)
}

// finish puts the whole file in its place.
func (p *part) finish() error {
	err := p.f.Sync()
	if err == nil {
		err = durable.Rename(partPath(p.target), p.target)
	}
	if err == nil {
		err = os.Remove(p.statePath())
	}
	return pathReason("write "+p.target, errors.Join(err, p.f.Close()))
}

// leave ends a get that was interrupted, and returns how many bytes are kept
// for the next.
func (p *part) leave() int64 {
	defer p.f.Close()
	if p.size > 0 && p.state.File != "" && p.mark() == nil {
		return p.size
	}
	// The lock is still held.
	os.Remove(partPath(p.target))
	os.Remove(p.statePath())
	return 0
}

// pathReason says what was to be done, and why it could not be, once.
func pathReason(what string, err error) error {
	if err == nil {
		return nil
	}
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err
	}
	return fmt.Errorf("%s: %w", what, err)
}
