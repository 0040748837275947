package client

import (
	"time"

	"lafs/introducer"
)

// saveDelay lets what an introducer sends at first become one write.
const saveDelay = 5 * time.Second

// load fills an introducer's table from the cache.
func (c *Client) load(in *intro) {
	in.calendar = introducer.NewCalendar(c.cfg.Now(), nil)
	if c.cfg.Cache == nil {
		return
	}
	text, err := c.cfg.Cache.Load(in.petname)
	if err != nil {
		c.cfg.Log.Warn("introducer: cannot read the cache", "introducer", in.petname, "err", err)
		return
	}
	kept, dropped, err := introducer.ParseKept(text)
	if err != nil || dropped > 0 {
		c.cfg.Log.Warn("introducer: the cache is damaged", "introducer", in.petname, "dropped", dropped, "err", err)
	}
	in.calendar = introducer.NewCalendar(c.cfg.Now(), kept)
	today := in.calendar.Today()
	for _, k := range kept {
		in.servers.put(k, today)
	}
	in.servers.unsaved = false
}

// keep tells the node of changes and saves them, until stop is closed.
func (c *Client) keep(stop <-chan struct{}) {
	var due <-chan time.Time
	for {
		select {
		case <-c.dirty:
			c.cfg.OnChange()
			if due == nil {
				due = time.After(saveDelay)
			}
		case <-due:
			due = nil
			c.save()
		case <-stop:
			c.save()
			return
		}
	}
}

func (c *Client) save() {
	if c.cfg.Cache == nil {
		return
	}
	for _, in := range c.intros {
		c.mu.Lock()
		unsaved := in.servers.unsaved
		var text []byte
		if unsaved {
			text = in.servers.marshal()
			in.servers.unsaved = false
		}
		c.mu.Unlock()
		if !unsaved {
			continue
		}
		if err := c.cfg.Cache.Save(in.petname, text); err != nil {
			c.cfg.Log.Warn("introducer: cannot save the cache", "introducer", in.petname, "err", err)
		}
	}
}
