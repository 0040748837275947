package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"lafs/node"
)

func (a *app) storageCollectCommand() *cobra.Command {
	var dryRun, asJSON bool
	cmd := &cobra.Command{
		Use:   "collect",
		Short: "Remove the shares whose leases have ended, now",
		Long: `Remove the shares whose leases have ended, by the settings [storage] expire.* of
tahoe.cfg. A running server does so by itself once a day, in small steps; this
does it now. With --dry-run nothing is removed, and it is told what would be:
where expiry is off, what leases that have run out as they were given leave.`,
		Example: `  lafs storage collect --dry-run
  lafs storage collect --dry-run --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.collect(cmd.Context(), dryRun, asJSON) },
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only tell what would be removed")
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON, for programs")
	return cmd
}

func (a *app) collect(ctx context.Context, dryRun, asJSON bool) error {
	path := node.CollectPath
	if dryRun {
		path = node.CollectablePath
	}
	var c node.CollectAnswer
	if err := a.operate(ctx, "POST", path, nil, &c); err != nil {
		return err
	}
	if asJSON {
		return a.printJSON(c)
	}
	w := tabwriter.NewWriter(a.stdout, 0, 8, 2, ' ', 0)
	verb := "removed"
	if c.DryRun {
		verb = "would go"
	}
	row := func(what string, f node.FreedAnswer, of string) {
		fmt.Fprintf(w, "%s\t%s in %s\t%s of data\t%s of the disk\n", what, plural(int(f.Shares), "share"), plural(int(f.Indexes), of), humanSize(f.Bytes), humanSize(f.Disk))
	}
	row(verb+", immutable", c.Immutable, "bucket")
	row(verb+", mutable", c.Mutable, "slot")
	if c.Kept != nil {
		row("would stay", *c.Kept, "index")
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if !c.Enabled {
		fmt.Fprintln(a.stdout, "expiry is off ([storage] expire.enabled in tahoe.cfg): nothing is removed")
	}
	if !c.RestsUntil.IsZero() {
		fmt.Fprintf(a.stdout, "the server was off for some days, or its clock was set: nothing is removed before %s\n", c.RestsUntil.Format(time.DateOnly))
	}
	return nil
}
