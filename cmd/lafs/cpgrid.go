package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"lafs/node/dirnode"
)

// A gridDir is a directory that is being filled.
type gridDir struct {
	cap  string
	says string
	have map[string]entry
}

// toGridName copies a file to a name.
func (c *copier) toGridName(ctx context.Context, s *thing, t *target) error {
	dir := &gridDir{have: map[string]entry{}}
	if t.found {
		dir.have[s.name] = *t.here
	}
	if t.found && t.here.Mutable || !c.linksOnly(s) {
		e, err := c.move(ctx, s, dir, t.at.url()+"?"+url.Values{"replace": {"only-files"}}.Encode())
		if err == nil && e != nil {
			c.did(s)
		}
		return err
	}
	if len(t.at.names) == 0 {
		return errors.New("the target is a cap of a file that cannot be changed")
	}
	if t.found && t.here.cap() == s.entry.cap() {
		c.had(s)
		return nil
	}
	if t.found && c.o.noClobber {
		c.skip(s.says, "there is another file of this name")
		return nil
	}
	if err := c.node.link(ctx, t.at, s.entry.cap()); err != nil {
		return err
	}
	c.did(s)
	return nil
}

// linksOnly tells whether a thing is copied by its cap: its content never
// changes, or nothing else is known of it.
func (c *copier) linksOnly(s *thing) bool {
	return !s.local && !(s.entry.kind == kindFile && s.entry.Mutable)
}

// toGridDirectory fills the directory of the target, and makes it where it
// is missing.
func (c *copier) toGridDirectory(ctx context.Context, want *tree, t *target) error {
	dir := &gridDir{says: t.at.String()}
	if t.found {
		dir.cap, dir.have = t.here.RWURI, t.here.Children
		if dir.cap == "" {
			return fmt.Errorf("%s: the cap that is known of this directory only reads it", t.at)
		}
		return c.fill(ctx, dir, want)
	}
	cap, err := c.node.mkdir(ctx, t.at, "")
	if err != nil {
		return err
	}
	dir.cap = cap
	return c.fill(ctx, dir, want)
}

// fill puts what is wanted into a directory and into those below it, which
// are filled at the same time. What has a name that no edit makes, although
// somebody else wrote it, is skipped. What was stored when it fails is linked
// nevertheless, so that the next attempt finds it.
func (c *copier) fill(ctx context.Context, dir *gridDir, want *tree) error {
	links := &links{node: c.node, dir: dir}
	subs, err := c.subdirectories(ctx, dir, want, links)
	if err != nil {
		return err
	}
	all, ctx := errgroup.WithContext(ctx)
	for name, sub := range subs {
		all.Go(func() error { return c.fill(ctx, sub, want.dirs[name]) })
	}
	all.Go(func() error {
		files, fctx := errgroup.WithContext(ctx)
		files.SetLimit(atOnce)
		for name, s := range want.files {
			if fctx.Err() != nil {
				break
			}
			if _, err := dirnode.Normalize(name); err != nil {
				c.skip(s.says, err.Error())
				continue
			}
			files.Go(func() error { return c.store(fctx, s, name, dir, links) })
		}
		err := files.Wait()
		if err == nil {
			err = ctx.Err()
		}
		return errors.Join(err, links.flush(ctx))
	})
	return all.Wait()
}

// subdirectories returns the directories that are wanted in dir. Those that
// are missing are made and linked in one change.
func (c *copier) subdirectories(ctx context.Context, dir *gridDir, want *tree, links *links) (map[string]*gridDir, error) {
	out := map[string]*gridDir{}
	var mu sync.Mutex
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for name := range want.dirs {
		sub := &gridDir{says: dir.says + slashBefore(dir.says) + shown(name)}
		if _, err := dirnode.Normalize(name); err != nil {
			c.skip(sub.says, err.Error())
			continue
		}
		e, there := dir.have[name]
		g.Go(func() error {
			if err := c.subdirectory(gctx, sub, e, there); err != nil {
				return fmt.Errorf("%s: %w", sub.says, err)
			}
			mu.Lock()
			defer mu.Unlock()
			out[name] = sub
			if !there {
				links.put(name, entry{kindDirectory, entryFacts{RWURI: sub.cap}})
			}
			return nil
		})
	}
	return out, errors.Join(g.Wait(), links.flush(ctx))
}

// subdirectory finds out the cap of one, or makes it, and lists it.
func (c *copier) subdirectory(ctx context.Context, sub *gridDir, e entry, there bool) error {
	release, err := c.slot(ctx, 0)
	if err != nil {
		return err
	}
	defer release()
	switch {
	case !there:
		sub.cap, err = c.node.mkdir(ctx, place{}, "")
		return err
	case !e.directory():
		return errors.New("something that is no directory has this name")
	case e.RWURI == "":
		return errors.New("the cap that is known of this directory only reads it")
	}
	sub.cap = e.RWURI
	now, err := c.node.look(ctx, place{cap: sub.cap})
	if err == nil {
		sub.have = now.Children
	}
	return err
}

// store stores one file and has it linked.
func (c *copier) store(ctx context.Context, s *thing, name string, dir *gridDir, links *links) error {
	release, err := c.slot(ctx, s.size())
	if err != nil {
		return err
	}
	var e *entry
	if c.linksOnly(s) {
		e = c.reuse(s, dir)
	} else {
		e, err = c.move(ctx, s, dir, "/uri")
	}
	release()
	if err != nil {
		return fmt.Errorf("%s: %w", s.says, err)
	}
	if e == nil {
		return nil
	}
	if e.cap() != "" {
		err = links.add(ctx, name, *e)
	}
	if err == nil {
		c.did(s)
	}
	return err
}

// reuse returns what is to be linked for a thing of the grid; nil if it is
// there, or is to be left out.
func (c *copier) reuse(s *thing, dir *gridDir) *entry {
	old, there := dir.have[s.name]
	switch {
	case there && old.cap() == s.entry.cap():
		c.had(s)
		return nil
	case there && old.directory():
		c.skip(s.says, "a directory has this name")
		return nil
	case there && c.o.noClobber:
		c.skip(s.says, "there is another file of this name")
		return nil
	}
	c.meter.add(s.size())
	return &entry{s.entry.kind, entryFacts{RWURI: s.entry.RWURI, ROURI: s.entry.ROURI}}
}

// move stores the content of a file by a request to path, unless it is there
// already. It returns what is to be linked, which is empty when a file that
// can be changed got the content; nil if nothing was done.
func (c *copier) move(ctx context.Context, s *thing, dir *gridDir, path string) (*entry, error) {
	old, there := dir.have[s.name]
	out := &entry{kind: kindFile}
	switch {
	case there && old.directory():
		c.skip(s.says, "a directory has this name")
		return nil, nil
	case there && !old.Mutable && s.local && unchanged(ctx, s.path, s.info.Size(), old.ROURI):
		c.had(s)
		return nil, nil
	case there && c.o.noClobber:
		c.skip(s.says, "there is another file of this name")
		return nil, nil
	case there && old.Mutable && old.RWURI == "":
		return nil, errors.New("a file has this name that others change and you only read; unlink it first")
	case there && old.Mutable:
		path = place{cap: old.RWURI}.url()
	}
	in, size, err := c.open(ctx, s)
	if err != nil && s.local {
		c.skip(s.says, reason(err))
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer in.Close()
	exact := &exactly{r: c.counting(in), left: size}
	cap, err := c.node.put(ctx, path, exact, size)
	if err != nil && exact.short {
		c.skip(s.says, "it became shorter while it was read")
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !there || !old.Mutable {
		out.ROURI = cap
	}
	return out, nil
}

// exactly reads left bytes, of which a file that grows has more; negative is
// to the end. short tells that there were less.
type exactly struct {
	r     io.Reader
	left  int64
	short bool
}

func (e *exactly) Read(p []byte) (int, error) {
	if e.left < 0 {
		return e.r.Read(p)
	}
	if e.left == 0 {
		return 0, io.EOF
	}
	n, err := e.r.Read(p[:min(int64(len(p)), e.left)])
	e.left -= int64(n)
	if err == io.EOF && e.left > 0 {
		e.short, err = true, io.ErrUnexpectedEOF
	}
	return n, err
}

// Linked in one change are at most linkMost things, and none waits longer
// than linkEvery: that much has to be done again when the power fails.
const (
	linkMost  = 500
	linkEvery = time.Minute
	// linkAfter is how long the last change may take when the copy was
	// stopped.
	linkAfter = 30 * time.Second
)

// links are the things that are stored and not in their directory yet.
type links struct {
	node *runningNode
	dir  *gridDir

	mu      sync.Mutex
	waiting map[string]entry
	since   time.Time // when the first began to wait

	writing sync.Mutex // held by the one that changes the directory
}

// put lets a thing wait.
func (l *links) put(name string, e entry) (full bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) == 0 {
		l.waiting, l.since = map[string]entry{}, time.Now()
	}
	l.waiting[name] = e
	return len(l.waiting) >= linkMost || time.Since(l.since) > linkEvery
}

// add lets a thing wait, and links those that wait when there are many.
func (l *links) add(ctx context.Context, name string, e entry) error {
	if !l.put(name, e) {
		return nil
	}
	return l.flush(ctx)
}

// flush links all that wait, even when ctx has ended.
func (l *links) flush(ctx context.Context) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.mu.Lock()
	now := l.waiting
	l.waiting = nil
	l.mu.Unlock()
	if len(now) == 0 {
		return nil
	}
	err := l.node.linkAll(ctx, l.dir.cap, now)
	if err != nil && ctx.Err() != nil {
		// The copy was stopped. What is stored shall not be lost to it; a
		// second signal ends the process at once.
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), linkAfter)
		defer cancel()
		err = l.node.linkAll(last, l.dir.cap, now)
	}
	if err != nil {
		return fmt.Errorf("%s: put %s into the directory: %w", l.dir.says, plural(len(now), "name"), err)
	}
	return nil
}
