package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"lafs/onion/tornet"
)

func upCommand() *cobra.Command {
	var (
		cfg     tornet.Config
		delayMS int
	)
	cmd := &cobra.Command{
		Use:   "up --dir DIR [--delay MS] [--clients N]",
		Short: "Start a network and leave it running",
		Long: `up starts a network, waits until it is ready (7 to 15 seconds) and leaves it
running until "tornet down" with the same directory. All its files are in DIR,
which must be empty or absent and have a short path. Ctrl-C before it is ready
leaves nothing behind.

With --delay every link takes MS milliseconds each way. The round trip between
two onion services is then about 14 times that; 10 to 40 comes near real Tor.`,
		Example: `  tornet up --dir /tmp/net
  tornet up --dir /tmp/net --delay 20 --clients 4`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			exe, err := os.Executable()
			if err != nil {
				return err
			}
			cfg.Delay = time.Duration(delayMS) * time.Millisecond
			began := time.Now()
			r, err := tornet.Up(cmd.Context(), cfg, []string{exe, superviseName})
			if err != nil {
				return err
			}
			printNetwork(cmd.OutOrStdout(), r, cfg.Dir, time.Since(began))
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&cfg.Dir, "dir", "", "directory for the network's files")
	f.IntVar(&delayMS, "delay", 0, "milliseconds that each link takes, one way")
	f.IntVar(&cfg.Clients, "clients", tornet.DefaultClients, "number of client tors")
	f.StringVar(&cfg.Executable, "tor-program", "", "the tor program, where it is not found by itself")
	_ = cmd.MarkFlagRequired("dir")
	return cmd
}

func printNetwork(w io.Writer, r *tornet.Record, dir string, took time.Duration) {
	fmt.Fprintf(w, "tor network ready after %.1f s\n", took.Seconds())
	for i, c := range r.Clients {
		fmt.Fprintf(w, "client %d: control %s socks %s\n", i+1, c.Control, c.Socks)
	}
	fmt.Fprintf(w, "torrc fragment: %s\n", r.Torrc)
	fmt.Fprintf(w, "end it with: tornet down --dir %s\n", dir)
}
