package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

type cpOptions struct{ recursive, verbose, capsOnly, noClobber bool }

func (a *app) cpCommand() *cobra.Command {
	var o cpOptions
	cmd := &cobra.Command{
		Use:   "cp FROM... TO",
		Short: "Copy files and directories between disk and grid",
		Long: `Copy files, with -r directories, between the disk and the grid in both directions,
and on the grid. A path without an alias or a cap is one of the disk.

Where TO is a directory, or is not there and directories or several things are
copied, they go into it under their own names; what has no name, because a cap or
an alias alone gives it, gives its content. A file that is there is replaced when
it differs; on the grid one that can be changed keeps its cap and gets the new
content. Nothing is sent or read again that is there unchanged, so a copy that was
interrupted goes on when it is started again. Copies on the disk can be read by
you only. On the grid an immutable file is not copied but linked.

A directory on the grid holds no symbolic links: of a link on the disk that to
which it leads is copied, file or directory, also when it is outside of FROM. One
that leads nowhere, or into a directory that it is in, is skipped. A name from the
grid that cannot be one on the disk, such as .., is skipped too.

The status is 2 when something was skipped, or a FROM is not there.`,
		Example: `  lafs cp report.pdf tahoe:
  lafs cp -r photos tahoe:
  lafs cp -r tahoe:photos .
  lafs cp -r - backup < private.cap`,
		Args:              cobra.MinimumNArgs(2),
		ValidArgsFunction: a.completeEither,
	}
	find := a.finder(cmd)
	cmd.Flags().BoolVarP(&o.recursive, "recursive", "r", false, "copy directories with all that is in them")
	cmd.Flags().BoolVarP(&o.verbose, "verbose", "v", false, "say what is done")
	cmd.Flags().BoolVar(&o.capsOnly, "caps-only", false, "to the disk: write caps in place of what the files hold")
	cmd.Flags().BoolVarP(&o.noClobber, "no-clobber", "n", false, "skip files that are there and differ")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c := a.copier(find, o)
		err := c.run(cmd.Context(), args[:len(args)-1], args[len(args)-1])
		c.stop()
		if err != nil {
			return fmt.Errorf("cp: %w", err)
		}
		return nil
	}
	return cmd
}

// errSkipped is a copy that is good but for what was left out.
var errSkipped = errors.New("something was skipped")

// run copies the sources to the target.
func (c *copier) run(ctx context.Context, from []string, to string) error {
	var sources []*thing
	for _, spec := range from {
		s, err := c.source(ctx, spec)
		if err != nil {
			return err
		}
		sources = append(sources, s)
	}
	t, err := c.target(ctx, to)
	if err != nil {
		return err
	}
	into, err := c.shape(sources, t)
	if err != nil {
		return err
	}
	if !into {
		c.begin(sources[0].size())
		if err := c.toName(ctx, sources[0], t); err != nil {
			return err
		}
		return c.end("file copied")
	}
	want := newTree()
	for _, s := range sources {
		if err := c.plant(ctx, want, s); err != nil {
			return err
		}
	}
	c.begin(want.size())
	if err := c.toDirectory(ctx, want, t); err != nil {
		_ = c.report() // what is done is done; the error tells the rest
		return err
	}
	return c.end("files copied")
}

// A target is where a copy goes, and what is there.
type target struct {
	spec  string
	local bool
	path  string // on the disk
	at    place  // on the grid
	here  *entry // on the grid; nil: nothing is there
	found bool
	dir   bool // a directory is there
}

// name writes a target for a person.
func (t *target) name() string {
	if t.local {
		return shown(t.path)
	}
	return t.at.String()
}

func (c *copier) target(ctx context.Context, spec string) (*target, error) {
	at, local, err := c.find.onGridOrDisk(spec)
	if err != nil {
		return nil, err
	}
	t := &target{spec: spec, local: local, at: at, path: spec}
	if local {
		st, err := os.Stat(filepath.Clean(spec))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		t.found = err == nil
		t.dir = t.found && st.IsDir()
		return t, nil
	}
	t.here, err = c.node.look(ctx, at)
	if errors.Is(err, errNotFound) {
		return t, nil
	}
	if err != nil {
		return nil, err
	}
	t.found, t.dir = true, t.here.directory()
	return t, nil
}

// shape decides whether the sources go into a directory, as Tahoe-LAFS does.
func (c *copier) shape(sources []*thing, t *target) (into bool, err error) {
	dirs := false
	for _, s := range sources {
		if s.local && t.local {
			return false, errors.New("neither of the two is on the grid")
		}
		dirs = dirs || s.directory()
	}
	if dirs && !c.o.recursive {
		return false, errors.New("directories are copied with -r only")
	}
	into = t.dir || !t.found && (dirs || len(sources) > 1)
	switch {
	case into:
		return true, nil
	case strings.HasSuffix(t.spec, "/"):
		return false, errors.New("the target is no directory, but ends with a slash")
	case len(sources) > 1:
		return false, errors.New("several things can be copied only into a directory")
	case dirs:
		return false, errors.New("a directory cannot be copied into a file")
	}
	return false, nil
}
