package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"lafs/shares/caps"
)

type listAliasesOptions struct{ readOnly, asJSON bool }

func (a *app) listAliasesCommand() *cobra.Command {
	var o listAliasesOptions
	cmd := &cobra.Command{
		Use:   "list-aliases [NAME]",
		Short: "Print the aliases and their caps",
		Long: `Print the aliases and their caps, which are secrets: whoever reads one can read,
and often change, what is in the directory. With --readonly-uri the caps printed
only read. With NAME the cap of that one is printed alone, to be given to somebody
whose lafs add-alias --cap-file reads it.`,
		Example: `  lafs list-aliases
  lafs list-aliases --readonly-uri photos > photos.cap`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: a.completeGrid,
		RunE: func(_ *cobra.Command, args []string) error {
			if err := a.listAliases(o, args); err != nil {
				return fmt.Errorf("list-aliases: %w", err)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&o.readOnly, "readonly-uri", false, "print the caps that only read")
	cmd.Flags().BoolVar(&o.asJSON, "json", false, "as JSON, for programs")
	return cmd
}

func (a *app) listAliases(o listAliasesOptions, only []string) error {
	all, err := a.aliases()
	if err != nil {
		return err
	}
	if len(only) == 1 {
		name := strings.TrimSuffix(only[0], ":")
		cap, ok := all[name]
		if !ok {
			return noAlias(name)
		}
		all = map[string]string{name: cap}
	}
	a.keepOutputPrivate()
	type pair struct {
		ReadOnly  string `json:"readonly"`
		ReadWrite string `json:"readwrite"`
	}
	pairs, width := map[string]pair{}, 0
	for name, text := range all {
		c, err := caps.Parse(text)
		if err != nil || c.ReadOnly() == nil {
			return fmt.Errorf("private/aliases: what stands under %s is no cap that can be read", shown(name))
		}
		pairs[name] = pair{c.ReadOnly().Reveal(), c.Reveal()}
		width = max(width, utf8.RuneCountInString(shown(name)))
	}
	if o.asJSON {
		out := json.NewEncoder(a.stdout)
		out.SetIndent("", "    ")
		return out.Encode(pairs)
	}
	for _, name := range slices.Sorted(maps.Keys(pairs)) {
		cap := pairs[name].ReadWrite
		if o.readOnly {
			cap = pairs[name].ReadOnly
		}
		label := fmt.Sprintf("%*s: ", width, shown(name))
		if len(only) == 1 {
			label = ""
		}
		if _, err := fmt.Fprintln(a.stdout, label+cap); err != nil {
			return err
		}
	}
	return nil
}
