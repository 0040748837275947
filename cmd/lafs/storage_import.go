package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"lafs/node"
	"lafs/node/takeover"
)

type importOptions struct {
	node.ImportOptions
	asJSON bool
}

func (a *app) storageImport() *cobra.Command {
	var o importOptions
	cmd := &cobra.Command{
		Use:   "import DIR",
		Short: "Take over a storage server of Tahoe-LAFS's",
		Long: `Take over a storage server of Tahoe-LAFS's: DIR is its node directory, or its
storage directory alone. The node of -d, a new one made by lafs create-node,
gets its shares with their leases, and becomes that server: the tub id, on
which its clients' secrets hang, the server id, the right to store, the onion
address, and the order in which clients look for it.

Stop both nodes first, and never start the other one again. What is cut off
goes on where it was when the same command is given again; until then the
node does not run.

Each share is checked. One that nobody could read is left where it is, and
named in a file; one that is damaged in part is taken, and noted in
corruption-advisories.

Without --link the shares are copied, and DIR stays as it is. With it nothing
is copied: its files become this node's too, read-only, as they are. What
Tahoe-LAFS wrote into them stays then: the times of leases to the second, the
secrets that this server shares with its clients, in files of old versions
also those of leases. Copies have none of that. Mutable objects behind whose shares
lafs clients kept votes are copied all the same, since they change their form.`,
		Example: `  lafs -d /srv/lafs create-node --introducer-file introducer.furl
  lafs -d /srv/lafs storage import --dry-run /srv/tahoe
  lafs -d /srv/lafs storage import --link /srv/tahoe`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.importTahoe(cmd.Context(), args[0], o) },
	}
	f := cmd.Flags()
	f.BoolVar(&o.Link, "link", false, "make hard links instead of copies")
	f.BoolVar(&o.DryRun, "dry-run", false, "say what would be done, and do nothing")
	f.BoolVar(&o.Trust, "no-verify", false, "do not check what is in the shares: faster, and readers check it anyway")
	f.BoolVar(&o.SharesOnly, "shares-only", false, "take the shares, and leave the node who it is")
	f.BoolVar(&o.asJSON, "json", false, "as JSON, for programs")
	return cmd
}

// importTahoe runs an import and shows what came of it.
func (a *app) importTahoe(ctx context.Context, from string, o importOptions) error {
	log, err := logger(a.stderr, "warn")
	if err != nil {
		return err
	}
	o.Log = log
	left := &leftFile{path: node.Dir(a.dir).ImportLeftFile(), dry: o.DryRun}
	o.Left = left.add
	m := a.meter("look for shares", 0)
	o.Progress = func(s takeover.Summary) { m.set("take over", s.LookedBytes, s.FoundBytes) }
	sum, err := node.Import(ctx, a.dir, from, o.ImportOptions)
	m.end()
	err = errors.Join(err, left.close())
	switch {
	case errors.Is(err, node.ErrNoNode):
		return fmt.Errorf("there is no node in %s to import into: make one with lafs create-node, or name another directory with -d", a.dir)
	case ctx.Err() != nil:
		return fmt.Errorf("%w: give the same command again to go on", errInterrupted)
	case err != nil:
		return err
	}
	if o.asJSON {
		out := json.NewEncoder(a.stdout)
		out.SetIndent("", "  ")
		if err := out.Encode(sum); err != nil {
			return err
		}
	} else if !a.quiet {
		a.showImport(sum, left)
	}
	if sum.Left > 0 {
		return fmt.Errorf("%w: %s left where they are", errSkipped, plural(int(sum.Left), "share"))
	}
	return nil
}

func (a *app) showImport(s *node.ImportSummary, left *leftFile) {
	verb := "Took over"
	if s.DryRun {
		verb = "Would take over"
	}
	fmt.Fprintf(a.stdout, "%s %s, %s: %d immutable, %d mutable, with %s\n", verb, plural(int(s.Taken), "share"), humanSize(s.TakenBytes),
		s.Immutable, s.Mutable, plural(int(s.Leases), "lease"))
	for _, line := range []struct {
		n    int64
		text string
	}{
		{s.Before, "were taken over before"},
		{s.Damaged, "are damaged in part: see corruption-advisories in the storage directory"},
		{s.Votes, "mutable objects have what lafs clients voted for, which this server now keeps"},
		{s.Unchecked, "could not be checked"},
		{s.Left, "are left where they are" + left.where()},
		{s.Unfinished, "belong to uploads that were never finished"},
		{s.Strange, "files or directories are none that a storage server makes, and were not looked at"},
	} {
		if line.n > 0 {
			fmt.Fprintf(a.stdout, "%d %s\n", line.n, line.text)
		}
	}
	if len(s.Identity) > 0 {
		is := "This node is now"
		if s.DryRun {
			is = "This node would be"
		}
		fmt.Fprintf(a.stdout, "%s the other server: it has its %s\n", is, strings.Join(s.Identity, ", "))
	}
	for _, n := range s.Notices {
		fmt.Fprintf(a.stdout, "Note: %s\n", n)
	}
	if !s.DryRun {
		fmt.Fprintf(a.stdout, "Never start the other server again. Start this one with: lafs -d %s run\n", a.dir)
	}
}

// A leftFile lists the shares that were left, one a line. It is made with
// the first one: their names are the storage indexes of others.
type leftFile struct {
	path string
	dry  bool
	file *os.File
	w    *bufio.Writer
	err  error
}

func (l *leftFile) add(s takeover.Left) {
	if l.dry || l.err != nil {
		return
	}
	if l.file == nil {
		if l.file, l.err = os.OpenFile(l.path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600); l.err != nil {
			return
		}
		l.w = bufio.NewWriter(l.file)
	}
	_, l.err = fmt.Fprintf(l.w, "%s: %s\n", s.Path, s.Why)
}

func (l *leftFile) where() string {
	if l.file == nil {
		return ""
	}
	return ": see " + l.path
}

func (l *leftFile) close() error {
	if l.file != nil && l.err == nil {
		l.err = l.w.Flush()
	}
	if l.file != nil {
		l.err = errors.Join(l.err, l.file.Close())
	}
	if l.err != nil {
		return fmt.Errorf("list the shares that are left: %w", l.err)
	}
	return nil
}
