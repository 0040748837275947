package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"lafs/node"
)

func (a *app) storageRevokeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "revoke NAME",
		Short: "Shut out somebody who was granted space",
		Long: `Shut out somebody who was granted space: from now on the secret of this
authority is refused, as one that nobody knows. What it has stored stays until its
leases end. lafs storage grant lets it in again.

Without the authority "default" only those may read and store here whom you
granted space by name.`,
		Example: `  lafs storage revoke alice`,
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.revoke(cmd.Context(), args[0]) },
	}
}

func (a *app) revoke(ctx context.Context, name string) error {
	var none struct{}
	err := a.operate(ctx, "POST", node.RevokePath, node.GrantRequest{Name: name}, &none)
	if errors.Is(err, errNotRunning) {
		err = a.stopped(func(c *node.Config) error { return c.Revoke(name) })
	}
	if err == nil && !a.quiet {
		fmt.Fprintf(a.stderr, "%s may not store or read here any more\n", printable(name))
	}
	return err
}
