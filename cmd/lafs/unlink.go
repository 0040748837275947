package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

func (a *app) unlinkCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "unlink PATH",
		Aliases: []string{"rm"},
		Short:   "Take an entry out of its directory on the grid (rm does the same)",
		Long: `Take an entry out of its directory. What it named is not touched: who has its cap
still reads it, until its leases run out and servers drop its shares.`,
		Example:           `  lafs unlink tahoe:photos/blurred.jpg`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeGrid,
	}
	find := a.finder(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := a.unlink(cmd.Context(), find, args[0]); err != nil {
			return fmt.Errorf("unlink: %w", err)
		}
		return nil
	}
	return cmd
}

func (a *app) unlink(ctx context.Context, find *finder, path string) error {
	p, err := find.onGrid(path)
	if err != nil {
		return err
	}
	if len(p.names) == 0 {
		return errors.New("only an entry of a directory can be unlinked; give a path below the cap or alias")
	}
	defer a.meter("changing the directory", 0).end()
	_, err = a.running().ask(ctx, "DELETE", p.url(), nil, maxCap)
	return p.explain(err)
}
