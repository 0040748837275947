package main

import (
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// completeGrid offers the aliases to a shell, for a path on the grid. It asks
// nobody: a path is completed without a word on any network.
func (a *app) completeGrid(_ *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
	return a.aliasesLike(begun), cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
}

// completeEither offers aliases and files of the disk.
func (a *app) completeEither(_ *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
	found := a.aliasesLike(begun)
	if len(found) == 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	return found, cobra.ShellCompDirectiveNoSpace
}

// completePut offers files first, then a path on the grid.
func (a *app) completePut(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	return a.completeGrid(cmd, args, begun)
}

// completeGet offers a path on the grid first, then files.
func (a *app) completeGet(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return a.completeGrid(cmd, args, begun)
	}
	return nil, cobra.ShellCompDirectiveDefault
}

func (a *app) aliasesLike(begun string) []string {
	if a.needDir() != nil {
		return nil
	}
	all, err := a.aliasFile().load()
	if err != nil {
		return nil
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if strings.HasPrefix(name+":", begun) {
			out = append(out, name+":")
		}
	}
	return out
}
