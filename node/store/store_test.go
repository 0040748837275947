package store_test

import (
	"sync"
	"testing"
	"time"

	"lafs/node/store"
	"lafs/shares/storage"
	"lafs/shares/storage/storagetest"
)

// A clock is moved by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 3, 4, 13, 14, 15, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func open(t *testing.T, cfg store.Config) *store.Store {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	s, err := store.Open(cfg)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestContract(t *testing.T) {
	c := newClock()
	storagetest.Run(t, func(t *testing.T) storage.Server { return open(t, store.Config{Now: c.Now}) }, storagetest.Clock(c.Advance))
}

func TestSlots(t *testing.T) {
	storagetest.Slots(t, func(t *testing.T) storage.Slots { return open(t, store.Config{}) })
}
