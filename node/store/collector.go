package store

import (
	"context"
	"math/rand/v2"
	"time"

	bolt "go.etcd.io/bbolt"
)

// A collector makes the daily passes. One goroutine uses it, but for at's
// days, which Resting reads.
type collector struct {
	s     *Store
	at    *crawl // its restDay is guarded by Store.mu
	pass  *pass
	pages int // since the place was last noted
}

// maxRest is how long collection rests at most after a gap.
const maxRest = 31

// collect makes the passes until ctx ends.
func (s *Store) collect(ctx context.Context) {
	c := s.collector
	// Restarts of many servers at once, and of one again and again, shall
	// not be a load.
	wait := time.Minute + rand.N(time.Minute)
	for {
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-t.C:
		}
		wait = c.tick()
	}
}

// tick does one step, if one is due, and returns when to come again.
func (c *collector) tick() time.Duration {
	c.day()
	if !c.due() {
		return time.Minute
	}
	if c.pass == nil {
		c.pass = &pass{s: c.s, rule: c.s.cfg.Expire, at: c.at}
		if c.at.began == 0 {
			c.at.began = today(c.s.cfg.Now())
		}
	}
	more, err := c.pass.step(collectPage)
	if err != nil {
		_ = c.s.fault("collect shares", err)
		return time.Minute
	}
	c.pages++
	if !more {
		sum := c.pass.sum
		c.s.cfg.Log.Info("collected the shares whose leases have ended",
			"immutable", sum.Immutable.Shares, "mutable", sum.Mutable.Shares, "bytes", sum.Immutable.Disk+sum.Mutable.Disk)
		c.at.passDay, c.at.began, c.pass = c.at.began, 0, nil
	}
	if !more || c.pages >= collectSave {
		c.save()
	}
	return collectEvery
}

// due says whether there is something to do: a pass begins once a day.
func (c *collector) due() bool {
	if _, resting := c.s.Resting(); !c.s.collectable() || resting {
		return false
	}
	return c.at.began != 0 || today(c.s.cfg.Now()) != c.at.passDay
}

// day notes that the server runs today. On days on which it did not, nobody
// could renew a lease, and a clock that was set wrong would end all of them:
// after a gap collection rests for as many days as it had, 31 at most.
func (c *collector) day() {
	now := today(c.s.cfg.Now())
	if c.at.seenDay == now {
		return
	}
	c.s.mu.Lock()
	if c.at.seenDay != 0 && now > c.at.seenDay+1 {
		gap := min(now-c.at.seenDay-1, maxRest)
		c.at.restDay = max(c.at.restDay, now+gap)
		if c.s.collectable() {
			c.s.cfg.Log.Warn("the server did not run for some days, or its clock was set: collection rests for as long, that clients can renew their leases", "days", gap)
		}
	}
	// A clock that went back must not make it rest for years.
	c.at.restDay = min(c.at.restDay, now+maxRest)
	c.at.seenDay = now
	c.s.mu.Unlock()
	c.save()
}

// save notes where collection is.
func (c *collector) save() {
	c.pages = 0
	err := c.s.index.db.Update(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketMeta).Put(keyCollect, c.at.marshal())
	})
	if err != nil {
		_ = c.s.fault("note where collection is", err)
	}
}

// load reads where collection was.
func (c *collector) load() error {
	return c.s.index.db.View(func(tx *bolt.Tx) error {
		c.at = parseCrawl(tx.Bucket(bucketMeta).Get(keyCollect))
		return nil
	})
}

// Resting tells until when nothing is collected because the server did not
// run, or its clock was set.
func (s *Store) Resting() (until time.Time, resting bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	day := s.collector.at.restDay
	return time.Unix(int64(day)*86400, 0).UTC(), day > today(s.cfg.Now())
}

func today(now time.Time) uint32 { return uint32(now.Unix() / 86400) }
