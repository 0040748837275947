// Package server is the introducer: it keeps the newest announcement of each
// storage server and sends them to subscribers as they come. It is an
// http.Handler that onion/mux serves; package introducer says what it
// answers.
package server

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"lafs/introducer"
)

// A Store keeps the introducer's state, at most some MiB. It holds
// announcements with their swissnums, so a file of it has mode 0600.
type Store interface {
	// Load returns what was saved last, nil if nothing ever was.
	Load() ([]byte, error)
	// Save replaces the state. When it returns nil, the new state is
	// durable; when it returns an error, either may stand.
	Save(state []byte) error
}

// A Config says what an introducer is made of. Store and PublishSecret are
// required.
type Config struct {
	Store         Store
	PublishSecret *introducer.Secret
	// SubscribeSecret is derived from PublishSecret if nil.
	SubscribeSecret *introducer.Secret
	// MaxServers bounds the servers known at one time; 0 is 1000.
	MaxServers int
	// MaxSubscribers bounds the answers open at one time; 0 is 192. It must
	// stay well below the requests that onion/mux takes at one time, or
	// nobody could announce any more.
	MaxSubscribers int
	// Log gets no addresses and no secrets. Nil discards.
	Log *slog.Logger
	// Now is the clock that the introducer.Calendar starts from. Nil is
	// time.Now.
	Now func() time.Time
}

// A Server is one introducer. Its handler may be called by many at once.
type Server struct {
	cfg         Config
	calendar    *introducer.Calendar
	subscribers *seats

	saving  sync.Mutex          // held through a change of the state and its Save
	changes map[string]*changes // guarded by saving; by server id

	mu      sync.RWMutex
	state   state         // guarded by mu; written only with saving held as well
	changed chan struct{} // guarded by mu; closed when state changes
}

const (
	defaultServers     = 1000
	defaultSubscribers = 192
)

// New loads the state and returns the introducer. Announcements in the state
// that do not verify are left out; a state that another version of lafs
// wrote, or that cannot be read, is an error.
func New(cfg Config) (*Server, error) {
	if cfg.Store == nil || cfg.PublishSecret == nil {
		return nil, errors.New("introducer: a store and a publishing secret are required")
	}
	if cfg.SubscribeSecret == nil {
		cfg.SubscribeSecret = cfg.PublishSecret.Subscribing()
	}
	if cfg.MaxServers == 0 {
		cfg.MaxServers = defaultServers
	}
	if cfg.MaxSubscribers == 0 {
		cfg.MaxSubscribers = defaultSubscribers
	}
	if cfg.MaxServers < 0 || cfg.MaxSubscribers < 0 {
		return nil, errors.New("introducer: a limit is negative")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	text, err := cfg.Store.Load()
	if err != nil {
		return nil, fmt.Errorf("load introducer's state: %w", err)
	}
	kept, dropped, err := introducer.ParseKept(text)
	if err != nil {
		return nil, fmt.Errorf("load introducer's state: %w", err)
	}
	if dropped > 0 {
		cfg.Log.Warn("introducer: left out announcements of the saved state that do not verify", "count", dropped)
	}
	calendar := introducer.NewCalendar(cfg.Now(), kept)
	return &Server{
		cfg:         cfg,
		calendar:    calendar,
		subscribers: newSeats(cfg.MaxSubscribers),
		state:       newState(kept),
		changed:     make(chan struct{}),
		changes:     make(map[string]*changes),
	}, nil
}

// Handler returns the introducer's HTTP interface.
func (s *Server) Handler() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("POST "+introducer.AnnouncePath, s.announce)
	m.HandleFunc("GET "+introducer.AnnouncementsPath, s.subscribe)
	return m
}

// Servers returns how many servers are known.
func (s *Server) Servers() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.state.live(s.today())
}

func (s *Server) today() int64 { return s.calendar.Today() }

// replace makes st the state and wakes the subscribers. The caller holds
// saving.
func (s *Server) replace(st state) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = st
	close(s.changed)
	s.changed = make(chan struct{})
}
