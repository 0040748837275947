package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"lafs/node/dirnode"
)

func (a *app) mvCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "mv FROM TO",
		Short: "Move an entry of a directory on the grid",
		Long: `Move an entry of a directory on the grid, or give it another name. With a slash
at its end TO is the directory to move it into. A file that has the name already
is replaced; a directory never is.`,
		Example: `  lafs mv draft.txt report.txt
  lafs mv tahoe:report.txt photos:texts/`,
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: a.completeGrid,
	}
	find := a.finder(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := a.mv(cmd.Context(), find, args[0], args[1]); err != nil {
			return fmt.Errorf("mv: %w", err)
		}
		return a.say("OK")
	}
	return cmd
}

func (a *app) mv(ctx context.Context, find *finder, from, to string) error {
	src, dst, err := find.pair(from, to)
	if err != nil {
		return err
	}
	oldDir, oldName, ok := src.parent()
	if !ok {
		return errors.New("a cap or an alias has no name that could be moved; give a path below it")
	}
	if dst.below(src) {
		return dirnode.ErrIntoItself
	}
	newDir, newName, _ := dst.parent()
	defer a.meter("moving", 0).end()
	n := a.running()
	q := url.Values{"t": {"relink"}, "from_name": {oldName}, "to_name": {newName}, "replace": {"only-files"}}
	across := oldDir.url() != newDir.url()
	if across {
		// By its path, not by its cap: so the node sees whether the way leads
		// through what is to be moved.
		q.Set("to_dir", strings.Join(append([]string{newDir.cap}, newDir.names...), "/"))
	}
	move := func() error {
		_, err := n.ask(ctx, "POST", oldDir.url()+"?"+q.Encode(), nil, maxCap)
		return err
	}
	err = move()
	if !across || !errors.Is(err, errNotFound) {
		return src.explain(err)
	}
	// The directory may be what is missing.
	if _, err := n.mkdir(ctx, newDir, ""); err != nil {
		return err
	}
	return src.explain(move())
}

// below tells whether p is written as a place below q.
func (p place) below(q place) bool {
	if p.cap != q.cap || len(p.names) <= len(q.names) {
		return false
	}
	for i, name := range q.names {
		a, errA := dirnode.Normalize(name)
		b, errB := dirnode.Normalize(p.names[i])
		if a != b || errA != nil || errB != nil {
			return false
		}
	}
	return true
}

// pair reads the two paths of mv and ln. The second always has a name.
func (f *finder) pair(from, to string) (src, dst place, err error) {
	if src, err = f.onGrid(from); err != nil {
		return src, dst, err
	}
	if dst, err = f.onGrid(to); err != nil {
		return src, dst, err
	}
	if len(dst.names) == 0 || dst.slash {
		_, name, ok := src.parent()
		if !ok {
			return src, dst, errors.New("what is named by a cap or an alias alone has no name yet; give the whole path it shall have")
		}
		dst = dst.child(name)
	}
	return src, dst, nil
}
