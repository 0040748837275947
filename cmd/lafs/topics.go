package main

import (
	"embed"
	"strings"

	"github.com/spf13/cobra"
)

//go:embed topics/*.txt
var topicFiles embed.FS

// topics are the pages of `lafs help` that are about no command.
var topics = []struct{ name, short string }{
	{"tor", "Which Tor lafs uses, and which roles each way can serve"},
	{"caps", "What a cap is, and how to keep one"},
	{"tahoe", "Coming from Tahoe-LAFS, and the web API"},
	{"threat-model", "What each party still learns"},
	{"service", "Running a node under systemd or another program"},
}

// helpTopics returns the pages as commands that cannot be run: cobra lists
// them apart.
func helpTopics() []*cobra.Command {
	var out []*cobra.Command
	for _, t := range topics {
		text, err := topicFiles.ReadFile("topics/" + t.name + ".txt")
		if err != nil {
			panic(err)
		}
		out = append(out, &cobra.Command{Use: t.name, Short: t.short, Long: strings.TrimSpace(string(text))})
	}
	return out
}
