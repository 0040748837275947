package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

func (a *app) mkdirCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "mkdir [PATH]",
		Short: "Make a directory, and print its cap",
		Long: `Make a directory, and those above it where they are missing, and print its cap.
One that is there already is left as it is. Without PATH the directory is in no
other, and its cap is the only way to it.`,
		Example: `  lafs mkdir tahoe:photos/2026
  lafs mkdir > private.cap`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: a.completeGrid,
	}
	find := a.finder(cmd)
	formatFlag(cmd, &format)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := a.mkdir(cmd.Context(), find, args, format); err != nil {
			return fmt.Errorf("mkdir: %w", err)
		}
		return nil
	}
	return cmd
}

func (a *app) mkdir(ctx context.Context, find *finder, args []string, format string) error {
	if err := directoryFormat(&format); err != nil {
		return err
	}
	var p place
	if len(args) == 1 {
		var err error
		if p, err = find.onGrid(args[0]); err != nil {
			return err
		}
	}
	a.keepOutputPrivate()
	m := a.meter("making the directory", 0)
	cap, err := a.running().mkdir(ctx, p, format)
	m.end()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(a.stdout, printable(cap))
	return err
}

func formatFlag(cmd *cobra.Command, format *string) {
	cmd.Flags().StringVar(format, "format", "", "how the directory is stored: SDMF or MDMF")
}

// directoryFormat checks the name of a format, and writes it as the node
// does.
func directoryFormat(format *string) error {
	*format = strings.ToUpper(*format)
	switch *format {
	case "", "SDMF", "MDMF":
		return nil
	}
	return fmt.Errorf("--format is SDMF or MDMF")
}
