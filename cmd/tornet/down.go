package main

import (
	"github.com/spf13/cobra"

	"lafs/onion/tornet"
)

func downCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "down --dir DIR",
		Short: "End a network and remove its files",
		Long: `down ends the network that "tornet up" left in DIR and removes its files. It
touches no process that the network did not start: each is known by its number
and by the time at which it was started.`,
		Example: `  tornet down --dir /tmp/net`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return tornet.Down(cmd.Context(), dir)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "directory that was given to up")
	_ = cmd.MarkFlagRequired("dir")
	return cmd
}
