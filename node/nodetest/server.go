package nodetest

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"lafs/node/store"
	"lafs/onion"
	"lafs/onion/mux"
	"lafs/onion/oniontest"
	"lafs/shares/caps"
	"lafs/shares/storage"
	"lafs/shares/storage/gbs"
)

// port is the virtual port of the storage service.
const port = 80

// dataOffset is where a share's own bytes begin in its file (node/store).
const dataOffset = 128

// A Server is one storage server.
type Server struct {
	Name string
	ID   string
	Addr onion.Addr
	// Host is its place on the network; its Faults are the network's.
	Host *oniontest.Host
	Dir  string

	key      *onion.Key
	tubID    [20]byte
	swissnum string

	mu        sync.Mutex
	running   context.CancelFunc // guarded by mu; nil when it is down
	stopped   chan struct{}
	hostile   func(http.Handler) http.Handler // guarded by mu
	corrupted map[string]bool                 // paths of shares that Corrupt has changed
}

func (g *Grid) newServer(name string, number int, dir string) (*Server, error) {
	key, err := onion.GenerateKey()
	if err != nil {
		return nil, err
	}
	addr, err := key.Addr(port)
	if err != nil {
		return nil, err
	}
	id := sha256.Sum256([]byte(name))
	s := &Server{
		Name: name, ID: fmt.Sprintf("v0-%x", id[:16]), Addr: addr, Host: g.Net.Host(name), Dir: filepath.Join(dir, name),
		key: key, swissnum: "swissnum of " + name, corrupted: make(map[string]bool),
	}
	copy(s.tubID[:], id[:])
	return s, s.Start()
}

// Start runs the server on what is on its disk.
func (s *Server) Start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running != nil {
		return nil
	}
	st, err := store.Open(store.Config{Dir: s.Dir, TubID: s.tubID})
	if err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	listeners, err := s.Host.Listen(ctx, onion.Service{Key: s.key, Ports: []uint16{port}})
	if err != nil {
		cancel()
		st.Close()
		return fmt.Errorf("publish: %w", err)
	}
	handler := gbs.NewHandler(gbs.HandlerConfig{Authorize: s.authorize(st)})
	s.running, s.stopped = cancel, make(chan struct{})
	go func(stopped chan struct{}) {
		defer close(stopped)
		defer st.Close()
		// It ends with ctx, or because the host crashed: both are asked for.
		_ = mux.Serve(ctx, listeners[0], s.wrap(handler), mux.ServerConfig{})
	}(s.stopped)
	return nil
}

func (s *Server) authorize(st storage.Server) func([]byte) (storage.Server, bool) {
	return func(swissnum []byte) (storage.Server, bool) {
		return st, subtle.ConstantTimeCompare(swissnum, []byte(s.swissnum)) == 1
	}
}

// Kill cuts everything at once. Start brings the server back.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running == nil {
		return
	}
	s.Host.Crash()
	s.running()
	<-s.stopped
	s.running = nil
}

// Hostile puts change between the wire and the server's own handler; nil
// makes the server honest again. Requests under way are not touched.
func (s *Server) Hostile(change func(honest http.Handler) http.Handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hostile = change
}

func (s *Server) wrap(honest http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		change := s.hostile
		s.mu.Unlock()
		if change == nil {
			honest.ServeHTTP(w, r)
			return
		}
		change(honest).ServeHTTP(w, r)
	})
}

// A ShareFile is one share on a server's disk.
type ShareFile struct {
	Path   string
	Index  caps.StorageIndex
	Number int
}

// ShareFiles lists the shares on the server's disk, running or not.
func (s *Server) ShareFiles() []ShareFile {
	paths, err := filepath.Glob(filepath.Join(s.Dir, "shares", "*", "*", "*"))
	if err != nil {
		panic(err) // the pattern is ours
	}
	var out []ShareFile
	for _, p := range paths {
		si, err := caps.ParseStorageIndex(filepath.Base(filepath.Dir(p)))
		n, err2 := strconv.Atoi(filepath.Base(p))
		if err == nil && err2 == nil {
			out = append(out, ShareFile{p, si, n})
		}
	}
	return out
}

// Corrupt flips one bit of each share on the server's disk: of the byte at
// so many bytes from the start of the share, modulo its length.
func (s *Server) Corrupt(offset int64) error {
	for _, f := range s.ShareFiles() {
		if err := flip(f.Path, offset); err != nil {
			return err
		}
		s.corrupted[f.Path] = true
	}
	return nil
}

func flip(path string, offset int64) error {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	at := dataOffset + offset%(info.Size()-dataOffset)
	var b [1]byte
	if _, err := file.ReadAt(b[:], at); err != nil {
		return err
	}
	b[0] ^= 1
	_, err = file.WriteAt(b[:], at)
	return err
}
