package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

func (a *app) lnCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ln FROM TO",
		Short: "Put what is on the grid into one more directory",
		Long: `Put the cap of a file or directory into one more directory; nothing is copied.
With a slash at its end TO is the directory. A file that has the name already is
replaced; a directory never is.`,
		Example: `  lafs ln tahoe:photos/2026 album:best
  lafs ln - tahoe:report.pdf < report.cap`,
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: a.completeGrid,
	}
	find := a.finder(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := a.ln(cmd.Context(), find, args[0], args[1]); err != nil {
			return fmt.Errorf("ln: %w", err)
		}
		return a.say("OK")
	}
	return cmd
}

func (a *app) ln(ctx context.Context, find *finder, from, to string) error {
	src, dst, err := find.pair(from, to)
	if err != nil {
		return err
	}
	defer a.meter("linking", 0).end()
	n := a.running()
	cap, err := n.capOf(ctx, src)
	if err != nil {
		return err
	}
	return n.link(ctx, dst, cap)
}
