package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"lafs/node"
	"lafs/node/authority"
)

func (a *app) storageListCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Show who may store on this server, and what they have stored",
		Example: `  lafs storage list
  lafs storage list --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.listAuthorities(cmd.Context(), asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON, for programs")
	return cmd
}

func (a *app) listAuthorities(ctx context.Context, asJSON bool) error {
	var list []node.AuthorityStatus
	err := a.operate(ctx, "GET", node.AuthoritiesPath, nil, &list)
	if errors.Is(err, errNotRunning) {
		err = a.stopped(func(c *node.Config) (err error) {
			list, err = c.Authorities()
			return err
		})
	}
	if err != nil {
		return err
	}
	if asJSON {
		return a.printJSON(list)
	}
	w := tabwriter.NewWriter(a.stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "name\tswitch\tquota\ttaken\tshares\tuploads under way")
	for _, e := range list {
		on, quota := "on", "none"
		if !e.On {
			on = "off"
		}
		if e.Quota != authority.NoQuota {
			quota = humanSize(e.Quota)
		}
		taken, shares, reserved := "?", "?", "?"
		if e.Known {
			taken, shares, reserved = humanSize(e.Disk), fmt.Sprint(e.Shares), humanSize(e.Reserved)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", printable(e.Name), on, quota, taken, shares, reserved)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if len(list) > 0 && !list[0].Known && !a.quiet {
		fmt.Fprintln(a.stderr, "what is taken is known while the node runs")
	}
	return nil
}
