package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"

	"lafs/node/dirnode"
)

// A thing is a file or directory that is to be copied.
type thing struct {
	name  string // empty: only a cap or an alias named it
	says  string // what people call it, without caps
	local bool
	path  string      // on the disk
	info  fs.FileInfo // on the disk
	entry *entry      // on the grid
	// above is the directory that it was found in, to see a circle.
	above *thing
}

func (s *thing) directory() bool {
	if s.local {
		return s.info.IsDir()
	}
	return s.entry.directory()
}

// size is that of a file; 0 when it is not known.
func (s *thing) size() int64 {
	if s.local {
		return s.info.Size()
	}
	return max(0, s.entry.size())
}

// circles tells whether s is a directory inside itself.
func (s *thing) circles() bool {
	for up := s.above; up != nil; up = up.above {
		if s.local && os.SameFile(s.info, up.info) || !s.local && s.entry.ROURI == up.entry.ROURI {
			return true
		}
	}
	return false
}

func (c *copier) source(ctx context.Context, spec string) (*thing, error) {
	at, local, err := c.find.onGridOrDisk(spec)
	if err != nil {
		return nil, err
	}
	s := &thing{says: at.String(), local: local}
	slash := strings.HasSuffix(spec, "/")
	if local {
		if s.path, err = filepath.Abs(spec); err != nil {
			return nil, err
		}
		s.says = shown(spec)
		if s.path != string(filepath.Separator) {
			if s.name, err = dirnode.Normalize(filepath.Base(s.path)); err != nil {
				return nil, fmt.Errorf("%s: %w", s.says, err)
			}
		}
		if s.info, err = os.Stat(s.path); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%w: %s", errNotFound, s.says)
		}
	} else {
		if n := len(at.names); n > 0 {
			s.name = at.names[n-1]
		}
		s.entry, err = c.node.look(ctx, at)
	}
	if err != nil {
		return nil, err
	}
	switch {
	case s.directory():
	case slash:
		return nil, fmt.Errorf("%s is no directory, but ends with a slash", s.says)
	case local && !s.info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is neither a file nor a directory; lafs put stores what a pipe gives", s.says)
	}
	return s, nil
}

// A tree is what a directory is to hold after the copy, beside what it holds
// already.
type tree struct {
	dirs  map[string]*tree
	files map[string]*thing
}

func newTree() *tree { return &tree{map[string]*tree{}, map[string]*thing{}} }

func (t *tree) size() (n int64) {
	for _, s := range t.files {
		n += s.size()
	}
	for _, d := range t.dirs {
		n += d.size()
	}
	return n
}

// addFile and addDir fail where two sources have one name.
func (t *tree) addFile(s *thing) error {
	if t.files[s.name] != nil || t.dirs[s.name] != nil {
		return collision(s)
	}
	t.files[s.name] = s
	return nil
}

func (t *tree) addDir(s *thing) (*tree, error) {
	if t.files[s.name] != nil {
		return nil, collision(s)
	}
	if t.dirs[s.name] == nil {
		t.dirs[s.name] = newTree()
	}
	return t.dirs[s.name], nil
}

func collision(s *thing) error {
	return fmt.Errorf("two of the things to copy have the same name, the second is %s; nothing was copied", s.says)
}

// plant puts a source, with all that is below it, into the tree. Nobody else
// uses the tree.
func (c *copier) plant(ctx context.Context, t *tree, s *thing) error {
	if !s.directory() {
		if s.name == "" {
			return errors.New("a cap or an alias alone gives a file no name; give the whole path of the copy")
		}
		return t.addFile(s)
	}
	if s.name != "" {
		var err error
		if t, err = t.addDir(s); err != nil {
			return err
		}
	}
	level := []bed{{t, s}}
	for len(level) > 0 {
		next, err := c.plantLevel(ctx, level)
		if err != nil {
			return err
		}
		level = next
	}
	return nil
}

// mostThings is how many files and directories one copy knows of. What is in
// a directory by two ways is copied twice, so that a few directories that
// somebody wrote can stand for more than any disk holds.
const mostThings = 1_000_000

// A bed is a directory whose content is not in the tree yet.
type bed struct {
	tree *tree
	dir  *thing
}

// plantLevel lists directories, several at once, and returns those in them.
func (c *copier) plantLevel(ctx context.Context, level []bed) (next []bed, err error) {
	listed := make([][]*thing, len(level))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for i, b := range level {
		g.Go(func() (err error) {
			if listed[i], err = c.list(ctx, b.dir); err == nil && c.planted.Add(int64(len(listed[i]))) > c.most {
				err = fmt.Errorf("%s: more than %d things would be copied, if each is counted as often as it is linked; copy parts of it one by one", b.dir.says, c.most)
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for i, b := range level {
		for _, s := range listed[i] {
			if !s.directory() {
				if err := b.tree.addFile(s); err != nil {
					return nil, err
				}
				continue
			}
			if s.circles() {
				c.skip(s.says, "it contains itself")
				continue
			}
			sub, err := b.tree.addDir(s)
			if err != nil {
				return nil, err
			}
			next = append(next, bed{sub, s})
		}
	}
	return next, nil
}

// list returns what can be copied of a directory.
func (c *copier) list(ctx context.Context, dir *thing) ([]*thing, error) {
	if dir.local {
		return c.listDisk(ctx, dir)
	}
	e := dir.entry
	if e.Children == nil {
		var err error
		if e, err = c.node.look(ctx, place{cap: e.cap()}); err != nil {
			return nil, fmt.Errorf("%s: %w", dir.says, err)
		}
	}
	var out []*thing
	for name, child := range e.Children {
		out = append(out, &thing{name: name, says: dir.says + slashBefore(dir.says) + shown(name), entry: &child, above: dir})
	}
	dir.entry.Children = nil // It is in the tree now.
	return out, nil
}

func slashBefore(path string) string {
	if strings.HasSuffix(path, ":") || strings.HasSuffix(path, "/") {
		return ""
	}
	return "/"
}

func (c *copier) listDisk(ctx context.Context, dir *thing) ([]*thing, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	entries, err := os.ReadDir(dir.path)
	if err != nil {
		c.skip(dir.says, reason(err))
		return nil, nil
	}
	var out []*thing
	for _, e := range entries {
		s := &thing{
			says: dir.says + slashBefore(dir.says) + shown(e.Name()), local: true, path: filepath.Join(dir.path, e.Name()), above: dir,
		}
		if s.name, err = dirnode.Normalize(e.Name()); err != nil {
			c.skip(s.says, err.Error())
			continue
		}
		// Links are followed, as Tahoe-LAFS does.
		s.info, err = os.Stat(s.path)
		switch {
		case err != nil:
			c.skip(s.says, reason(err))
		case !s.info.IsDir() && !s.info.Mode().IsRegular():
			c.skip(s.says, "it is neither a file nor a directory")
		default:
			out = append(out, s)
		}
	}
	return out, nil
}

// reason is the error of a call to the system without the path, which the
// message has already.
func reason(err error) string {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	}
	return err.Error()
}

// open begins to read a file on disk or grid.
func (c *copier) open(ctx context.Context, s *thing) (io.ReadCloser, int64, error) {
	if s.local {
		f, err := os.Open(s.path)
		if err != nil {
			return nil, 0, err
		}
		info, err := f.Stat()
		if err != nil {
			f.Close()
			return nil, 0, err
		}
		return f, info.Size(), nil
	}
	resp, err := c.node.call(ctx, "GET", place{cap: s.entry.cap()}.url(), nil, 0)
	if err != nil {
		return nil, 0, err
	}
	return resp.Body, resp.ContentLength, nil
}
