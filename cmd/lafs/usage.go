package main

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
)

// explainMisuse makes the command say, where it is called wrongly, what was
// wrong and where to read more. No argument is repeated that could be a cap.
func explainMisuse(root *cobra.Command) {
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		// How Go reads a number says nothing to who wrote none.
		text := ofStrconv.ReplaceAllString(err.Error(), "")
		return fmt.Errorf("%s; see %s --help", text, cmd.CommandPath())
	})
	for _, cmd := range root.Commands() {
		if !cmd.HasSubCommands() {
			explainArguments(cmd)
		}
		for _, sub := range cmd.Commands() {
			explainArguments(sub)
		}
	}
	// Without a command the help is shown, and what is none is named.
	root.DisableFlagsInUseLine = true
	root.Args = func(_ *cobra.Command, args []string) error {
		if len(args) > 0 {
			return unknownCommand(root, args[0])
		}
		return nil
	}
	root.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }

	root.InitDefaultCompletionCmd()
	if completion, _, err := root.Find([]string{"completion"}); err == nil && completion != root {
		groupOnly(completion)
	}
	root.InitDefaultHelpCmd()
	help, _, err := root.Find([]string{"help"})
	if err != nil {
		panic(err)
	}
	help.Run = nil
	help.RunE = func(_ *cobra.Command, args []string) error {
		cmd, rest, err := root.Find(args)
		if err == nil && cmd != root && len(rest) > 0 {
			return fmt.Errorf("there is no more help on %s than: lafs help %[1]s", strings.TrimPrefix(cmd.CommandPath(), root.Name()+" "))
		}
		if err != nil || len(rest) > 0 {
			return unknownCommand(root, args[0])
		}
		cmd.InitDefaultHelpFlag()
		return cmd.Help()
	}
}

// explainArguments gives a wrong number of arguments a message of our own.
func explainArguments(cmd *cobra.Command) {
	check := cmd.Args
	if check == nil {
		return
	}
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if check(cmd, args) == nil {
			return nil
		}
		path := strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()+" ")
		return fmt.Errorf("%s: write it as: lafs %s%s; lafs %[1]s --help says more", path, strings.TrimSuffix(path, cmd.Name()), cmd.Use)
	}
}

// ofStrconv matches what package strconv puts before its reasons.
var ofStrconv = regexp.MustCompile(`strconv\.\w+: parsing "[^"]*": `)

// aWord matches what could be meant as a command, and never a cap.
var aWord = regexp.MustCompile(`^[a-z-]{1,20}$`)

func unknownCommand(root *cobra.Command, name string) error {
	if !aWord.MatchString(name) {
		return fmt.Errorf("unknown command; lafs help lists them")
	}
	root.SuggestionsMinimumDistance = 2
	if len(name) < 4 {
		root.SuggestionsMinimumDistance = 1
	}
	if near := root.SuggestionsFor(name); len(near) > 0 {
		return fmt.Errorf("unknown command %q; did you mean %s? lafs help lists them", name, strings.Join(near, " or "))
	}
	return fmt.Errorf("unknown command %q; lafs help lists them", name)
}
