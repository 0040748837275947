package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

func (a *app) createAliasCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "create-alias NAME",
		Short: "Make a directory, and an alias for it",
		Long: `Make a directory on the grid and keep its cap, which is the right to change it,
in the file private/aliases under NAME. From then on NAME:path is a path in it.
The alias tahoe is the default: paths without an alias begin there.`,
		Example: `  lafs create-alias tahoe
  lafs put report.pdf tahoe:report.pdf
  lafs ls`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.createAlias(cmd.Context(), args[0], format)
		},
	}
	formatFlag(cmd, &format)
	return cmd
}

func (a *app) createAlias(ctx context.Context, arg, format string) error {
	name, err := aliasName(arg)
	if err != nil {
		return err
	}
	if err := directoryFormat(&format); err != nil {
		return err
	}
	if err := a.aliasFile().refuseTaken(name); err != nil {
		return err
	}
	m := a.meter("making the directory", 0)
	cap, err := a.running().mkdir(ctx, place{}, format)
	m.end()
	if err != nil {
		return fmt.Errorf("create-alias: %w", err)
	}
	if _, err := directoryCap(cap); err != nil {
		return fmt.Errorf("create-alias: the node's answer: %w", err)
	}
	if err := a.aliasFile().add(name, cap); err != nil {
		return fmt.Errorf("create-alias: %w", err)
	}
	return a.say("Alias '%s' created", shown(name))
}

// say writes a line to standard output unless the command is to be quiet.
func (a *app) say(format string, args ...any) error {
	if a.quiet {
		return nil
	}
	_, err := fmt.Fprintf(a.stdout, format+"\n", args...)
	return err
}
