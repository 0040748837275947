package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

// storageCommand gathers what its operator does to a storage server. Each
// subcommand has a file of its own, storage_<name>.go.
func (a *app) storageCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "storage",
		Short: "Look after this node's storage server",
	}
	cmd.AddCommand(a.storageSubcommands()...)
	groupOnly(cmd)
	return cmd
}

// groupOnly lets a command do nothing but tell its subcommands, and name what
// is none of them.
func groupOnly(cmd *cobra.Command) {
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) == 0:
			return nil
		case !aWord.MatchString(args[0]):
			return fmt.Errorf("unknown command; lafs %s --help lists them", cmd.Name())
		}
		return fmt.Errorf("unknown command %q; lafs %s --help lists them", args[0], cmd.Name())
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
}

// storageSubcommands are those of the group, one a line.
func (a *app) storageSubcommands() []*cobra.Command {
	return []*cobra.Command{
		a.storageImport(),
		a.storageGrantCommand(),
		a.storageRevokeCommand(),
		a.storageListCommand(),
		a.storageCollectCommand(),
		a.tahoeServersYAMLCommand(),
		a.storageFsckCommand(),
		a.storageAdvisoriesCommand(),
		a.storageNewIdentityCommand(),
	}
}
