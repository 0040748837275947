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
		// A flag of a command that there is not was read as one of lafs's.
		if before := root.Flags().Args(); cmd == root && len(before) > 0 {
			return unknownCommand(root, before[0])
		}
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
	if instead := elsewhere[name]; instead != "" {
		return fmt.Errorf("unknown command %q: %s", name, instead)
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

// elsewhere says, of commands that other programs have and Tahoe-LAFS's above
// all, what does the same here or that nothing does.
var elsewhere = map[string]string{
	"admin":      "lafs makes a node's keys with its directory",
	"backup":     "there is no backup yet; lafs cp -r sends only what is not there unchanged",
	"debug":      "lafs check counts shares, lafs storage fsck looks after a server's",
	"deep-check": "lafs check looks at one file or directory; there is none yet that walks through a tree",
	"delete":     "it is called lafs rm",
	"download":   "it is called lafs get",
	"init":       "lafs create-client, create-node and create-introducer make a node's directory",
	"invite":     "there are no invitations yet; hand out the address of the introducer",
	"manifest":   "there is none yet that walks through a tree; lafs ls lists one directory",
	"restart":    "stop the node with Ctrl-C or SIGTERM, and start it with lafs run",
	"share":      "give the cap away: lafs list-aliases --readonly-uri NAME prints one that only reads",
	"start":      "lafs run runs the node in the foreground; lafs help service has a systemd unit",
	"stats":      "there is none yet that walks through a tree; lafs status is about the node",
	"stop":       "a node ends on Ctrl-C or SIGTERM; its process id is in running.process in its directory",
	"upload":     "it is called lafs put",
	"version":    "it is called lafs --version",
	"webopen":    "the web API is at the address in node.url, in the node's directory; a directory is at /uri/CAP there",
}
