package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"lafs/node"
	"lafs/node/store"
)

// errLeft ends fsck when it found what it did not mend.
var errLeft = errors.New("the storage directory is not in order")

// shownFaults bounds what --json keeps in memory.
const shownFaults = 100_000

func (a *app) storageFsckCommand() *cobra.Command {
	var o store.CheckOptions
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "fsck",
		Short: "Check the storage directory, and mend it",
		Long: `Check the files of the storage directory against its index, in both directions:
every share and slot, leases, and what was counted. Stop the node first; while
this runs it can't be started.

Without an option nothing is changed. --repair mends what can be mended; what
could be a share is never removed, but moved to aside/ in the storage directory.
--rebuild makes the index anew from the files alone, and keeps the old one in
aside/; all leases then last 31 days from today. --content reads all shares too
and checks every hash in them, which takes as long as reading the disk.

The exit status is 0 when all is in order, or was mended, 3 when something is
left, and 1 when it could not be checked. What is printed names storage indexes:
keep it to yourself.`,
		Example: `  lafs storage fsck
  lafs storage fsck --repair
  lafs storage fsck --rebuild --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.fsck(cmd.Context(), o, asJSON) },
	}
	f := cmd.Flags()
	f.BoolVar(&o.Repair, "repair", false, "mend what can be mended")
	f.BoolVar(&o.Rebuild, "rebuild", false, "make the index anew from the files")
	f.BoolVar(&o.Content, "content", false, "check what is in the shares too")
	f.BoolVar(&asJSON, "json", false, "as JSON, for programs")
	return cmd
}

// fsckAnswer is what --json prints.
type fsckAnswer struct {
	store.CheckSum
	Faults []store.Fault `json:"faults"`
	// Omitted are those that would be too many to list.
	Omitted int `json:"omitted,omitempty"`
}

func (a *app) fsck(ctx context.Context, o store.CheckOptions, asJSON bool) error {
	out := fsckAnswer{Faults: []store.Fault{}}
	o.Found = func(f store.Fault) {
		switch {
		case !asJSON:
			mended := ""
			if f.Mended {
				mended = " (mended)"
			}
			fmt.Fprintf(a.stdout, "%s: %s%s\n", printable(f.Path), f.What, mended)
		case len(out.Faults) < shownFaults:
			out.Faults = append(out.Faults, f)
		default:
			out.Omitted++
		}
	}
	err := a.stopped(func(cfg *node.Config) (err error) {
		out.CheckSum, err = node.CheckStorage(ctx, cfg, o)
		return err
	})
	if err != nil {
		return err
	}
	if asJSON {
		err = a.printJSON(out)
	} else {
		c := out.CheckSum
		fmt.Fprintf(a.stdout, "%s in buckets, %s in %s, %s of data, %s, %s, %s\n",
			plural(int(c.Shares), "share"), plural(int(c.SlotShares), "share"), plural(int(c.Slots), "slot"), humanSize(c.Bytes),
			plural(int(c.Leases), "lease"), plural(int(c.Uploads), "unfinished upload"), plural(int(c.Advisories), "report")+" of corruption")
		if c.Newer > 0 {
			fmt.Fprintf(a.stdout, "%s of a later version of lafs: left alone\n", plural(int(c.Newer), "file"))
		}
		switch {
		case c.Mended+c.Left == 0:
			fmt.Fprintln(a.stdout, "all is in order")
		case c.Left == 0:
			fmt.Fprintf(a.stdout, "%s mended\n", plural(int(c.Mended), "fault"))
		}
	}
	if left := out.Left; err == nil && left > 0 {
		hint := ""
		if !o.Repair {
			hint = ": --repair mends what can be mended"
		}
		err = fmt.Errorf("%w: %s left, %d mended%s", errLeft, plural(int(left), "fault"), out.Mended, hint)
	}
	return err
}
