package grid

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// A Source is the plaintext of an upload. It is read twice or more: for the
// key, for the shares, and again if shares must go to other servers. Each
// Open gives the same bytes from the start.
type Source interface {
	// Size is the number of bytes, known before the first Open.
	Size() int64
	// Open starts reading from the beginning. A reader works until it is
	// closed, even where the source was closed before.
	Open() (io.ReadCloser, error)
}

// spoolInMemory is the largest input that a Spool keeps in memory.
const spoolInMemory = 256 << 10

// A Spool holds an input that cannot be read twice. Small ones stay in
// memory; larger ones go to a file that has no name, is readable by nobody
// else, and is encrypted under a key that never leaves memory: plaintext
// stays off the disk, even in a swap of directory entries after a crash.
type Spool struct {
	small []byte
	file  *os.File // nil if small
	key   cipher.Block
	size  int64

	mu      sync.Mutex
	readers int  // guarded by mu; open ones
	closed  bool // guarded by mu
}

// SpoolSource reads r to its end into a Spool. The file, if one is needed,
// is made in dir ("" means the system's place for temporary files). Close
// the Spool to free it.
func SpoolSource(r io.Reader, dir string) (*Spool, error) {
	head := make([]byte, spoolInMemory+1)
	n, err := io.ReadFull(r, head)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &Spool{small: head[:n:n], size: int64(n)}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read input: %w", err)
	}
	s := &Spool{}
	if err := s.create(dir); err != nil {
		return nil, err
	}
	w := cipher.StreamWriter{S: s.stream(), W: s.file}
	s.size, err = io.Copy(w, io.MultiReader(bytes.NewReader(head), onlyReader{r}))
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("spool input: %w", err)
	}
	return s, nil
}

// onlyReader hides WriterTo, whose buffer size is not ours to choose.
type onlyReader struct{ io.Reader }

func (s *Spool) create(dir string) error {
	var key [32]byte
	// crypto/rand.Read never fails: it ends the program first.
	rand.Read(key[:])
	block, err := aes.NewCipher(key[:])
	clear(key[:])
	if err != nil {
		return fmt.Errorf("make spool key: %w", err)
	}
	// CreateTemp makes it 0600.
	f, err := os.CreateTemp(dir, "spool-")
	if err != nil {
		return fmt.Errorf("make spool file: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return fmt.Errorf("unlink spool file: %w", err)
	}
	s.key, s.file = block, f
	return nil
}

// stream returns the key stream from the file's start. The key is used for
// this one file, so the counter may start at zero.
func (s *Spool) stream() cipher.Stream { return cipher.NewCTR(s.key, make([]byte, aes.BlockSize)) }

// Size returns the number of bytes that were read.
func (s *Spool) Size() int64 { return s.size }

// Open reads the input from its start. Readers may be used at once.
func (s *Spool) Open() (io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, os.ErrClosed
	}
	if s.file == nil {
		return io.NopCloser(bytes.NewReader(s.small)), nil
	}
	s.readers++
	return &spoolReader{cipher.StreamReader{S: s.stream(), R: io.NewSectionReader(s.file, 0, s.size)}, sync.OnceFunc(s.left)}, nil
}

// left notes that a reader was closed.
func (s *Spool) left() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.readers--; s.closed && s.readers == 0 {
		s.file.Close()
	}
}

// Close frees the file, once all readers are closed.
func (s *Spool) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed, s.small = true, nil
	if s.file == nil || s.readers > 0 {
		return nil
	}
	return s.file.Close()
}

// A reader that is open keeps the spool's file.
type spoolReader struct {
	io.Reader
	free func()
}

func (r *spoolReader) Close() error {
	r.free()
	return nil
}
