package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"lafs/node"
)

func (a *app) storageAdvisoriesCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "advisories",
		Short: "List what clients reported of corrupt shares",
		Long: `List what clients reported of corrupt shares on this server, the last report of
each share. A report proves nothing, and its words are those of whoever sent
it; many of them, or any that lafs storage fsck --content agrees with, are a
reason to look after the disk. To forget a report, remove its file in
corruption-advisories/ in the storage directory.`,
		Example: `  lafs storage advisories
  lafs storage advisories --json`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return a.advisories(asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON, for programs")
	return cmd
}

func (a *app) advisories(asJSON bool) error {
	all, err := node.StorageAdvisories(a.dir)
	if errors.Is(err, node.ErrNoNode) {
		return noNode(node.Dir(a.dir))
	}
	if err != nil {
		return err
	}
	if asJSON {
		return a.printJSON(all)
	}
	for _, r := range all {
		fmt.Fprintf(a.stdout, "%s  %s share %d of %s: %s\n", r.Day.Format("2006-01-02"), r.Kind, r.Share, r.Index, shown(r.Reason))
	}
	if len(all) == 0 && !a.quiet {
		fmt.Fprintln(a.stderr, "nobody reported a corrupt share")
	}
	return nil
}
