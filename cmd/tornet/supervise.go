package main

import (
	"os"

	"github.com/spf13/cobra"

	"lafs/onion/tornet"
)

const superviseName = "supervise"

// superviseCommand is what up runs in the background: it owns the network.
func superviseCommand() *cobra.Command {
	return &cobra.Command{
		Use:    superviseName,
		Short:  "Own a network, for up",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return tornet.Supervise(cmd.Context(), os.Stdin, os.Stdout)
		},
	}
}
