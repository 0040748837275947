package main

import "github.com/spf13/cobra"

func rootCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tornet",
		Short: "Start and stop a private Tor network on this machine",
		Long: `tornet runs a whole Tor network on loopback: one directory authority, four
relays and some client tors. It needs the tor program and no Internet. It is
for tests and demonstrations: it hides nothing from anybody on this machine.

Client tors publish onion services and visit them. Their addresses are in
DIR/net.json, and so is the path of a torrc fragment with which any other tor
joins the network.`,
		Example: `  tornet up --dir /tmp/net
  lafs -d ~/node run --tor control=unix:/tmp/net/client1/control
  tornet down --dir /tmp/net`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	cmd.AddCommand(upCommand(), downCommand(), superviseCommand())
	return cmd
}
