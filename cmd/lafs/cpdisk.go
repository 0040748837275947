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
	"syscall"

	"golang.org/x/sync/errgroup"
)

func (c *copier) toName(ctx context.Context, s *thing, t *target) error {
	if !t.local {
		return c.toGridName(ctx, s, t)
	}
	return c.fetch(ctx, s, filepath.Clean(t.path))
}

func (c *copier) toDirectory(ctx context.Context, want *tree, t *target) error {
	if !t.local {
		return c.toGridDirectory(ctx, want, t)
	}
	if err := os.MkdirAll(t.path, 0o700); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	err := c.fillDisk(ctx, g, t.path, want)
	if ferr := g.Wait(); ferr != nil {
		return ferr
	}
	return err
}

// fillDisk puts what is wanted into a directory on the disk. Files are
// fetched by g, which stops at its first error.
func (c *copier) fillDisk(ctx context.Context, g *errgroup.Group, dir string, want *tree) error {
	for name, s := range want.files {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if why := badName(name); why != "" {
			c.skip(s.says, why)
			continue
		}
		g.Go(func() error { return c.fetch(ctx, s, filepath.Join(dir, name)) })
	}
	for name, sub := range want.dirs {
		path := filepath.Join(dir, name)
		if why := badName(name); why != "" {
			c.skip(shown(dir)+"/"+shown(name), why)
			continue
		}
		err := os.Mkdir(path, 0o700)
		if errors.Is(err, fs.ErrExist) {
			err = nil
			if st, serr := os.Stat(path); serr != nil || !st.IsDir() {
				c.skip(shown(path), "something that is no directory has this name")
				continue
			}
		}
		if unusable(err) {
			c.skip(shown(path), reason(err))
			continue
		}
		if err != nil {
			return err
		}
		if err := c.fillDisk(ctx, g, path, sub); err != nil {
			return err
		}
	}
	return nil
}

// badName tells why a name from the grid, which anybody may have written,
// cannot be one on this disk: it would lead out of its directory.
func badName(name string) string {
	switch {
	case name == "" || name == "." || name == "..":
		return "that is no name for a file"
	case strings.ContainsAny(name, "/\x00") || strings.ContainsRune(name, os.PathSeparator):
		return "its name would lead elsewhere on this disk"
	}
	return ""
}

// unusable is an error of the file system about one name.
func unusable(err error) bool {
	return errors.Is(err, syscall.ENAMETOOLONG) || errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.EILSEQ)
}

// fetch copies one file to a path on the disk, where it appears whole. What
// the node says about this file alone does not stop the others.
func (c *copier) fetch(ctx context.Context, s *thing, path string) error {
	if s.entry.kind != kindFile && !c.o.capsOnly {
		c.skip(s.says, "this lafs does not know what it is")
		return nil
	}
	st, err := os.Lstat(path)
	switch {
	case err == nil && st.IsDir():
		c.skip(s.says, "a directory has this name on the disk")
		return nil
	case err == nil && st.Mode().IsRegular() && !c.o.capsOnly && !s.entry.Mutable && unchanged(ctx, path, st.Size(), s.entry.ROURI):
		c.had(s)
		return nil
	case err == nil && c.o.noClobber:
		c.skip(s.says, "there is another file of this name")
		return nil
	case err == nil && st.Mode()&(fs.ModeDevice|fs.ModeNamedPipe|fs.ModeSocket|fs.ModeCharDevice) != 0:
		c.skip(s.says, "what has this name on the disk is no file")
		return nil
	}
	err = c.fetchTo(ctx, s, path)
	_, refused := errors.AsType[*refusal](err)
	switch {
	case err == nil:
		c.did(s)
	case unusable(err):
		c.skip(s.says, reason(err))
	case refused:
		c.fail(s.says, err)
	default:
		return fmt.Errorf("%s: %w", s.says, err)
	}
	return nil
}

func (c *copier) fetchTo(ctx context.Context, s *thing, path string) error {
	if c.o.capsOnly {
		_, err := newFile(path, func(w io.Writer) (int64, error) {
			n, err := io.WriteString(w, s.entry.cap())
			return int64(n), err
		})
		return err
	}
	release, err := c.slot(ctx, s.size())
	if err != nil {
		return err
	}
	defer release()
	in, _, err := c.open(ctx, s)
	if err != nil {
		return err
	}
	defer in.Close()
	_, err = newFile(path, func(w io.Writer) (int64, error) {
		n, err := io.Copy(w, c.counting(in))
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = brokenOff(n)
		}
		return n, err
	})
	return err
}
