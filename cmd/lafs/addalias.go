package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (a *app) addAliasCommand() *cobra.Command {
	var capFile string
	cmd := &cobra.Command{
		Use:   "add-alias NAME [CAP|-]",
		Short: "Give the cap of a directory an alias",
		Long: `Keep the cap of a directory in the file private/aliases under NAME. With - it is
read from standard input, with --cap-file from a file: a cap on the command line
can be read by every program that you run.`,
		Example: `  lafs add-alias photos --cap-file photos.cap
  lafs add-alias photos - < photos.cap`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(_ *cobra.Command, args []string) error {
			if capFile == "" && len(args) == 1 {
				return fmt.Errorf("add-alias: of which directory? Give - to read its cap from standard input, or --cap-file; lafs create-alias makes a new one")
			}
			cap, rest, err := a.readCap(capFile, args[1:])
			if err == nil && capFile == "" && !isCap(cap) && onDisk(cap) != "" {
				err = capInFile(cap)
			}
			if err == nil && len(rest) > 0 {
				err = fmt.Errorf("a cap is given twice")
			}
			if err != nil {
				return fmt.Errorf("add-alias: %w", err)
			}
			return a.addAlias(args[0], cap)
		},
	}
	cmd.Flags().StringVar(&capFile, "cap-file", "", "read the cap from this file")
	return cmd
}

func (a *app) addAlias(arg, cap string) error {
	name, err := aliasName(arg)
	if err != nil {
		return err
	}
	dir, err := directoryCap(cap)
	if err != nil {
		return fmt.Errorf("add-alias: %w", err)
	}
	if err := a.needNode(); err != nil {
		return fmt.Errorf("add-alias: %w", err)
	}
	if err := a.aliasFile().add(name, dir.Reveal()); err != nil {
		return fmt.Errorf("add-alias: %w", err)
	}
	return a.say("Alias '%s' added", shown(name))
}
