package main

import (
	"errors"

	"github.com/spf13/cobra"

	"lafs/node"
)

func (a *app) tahoeServersYAMLCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "tahoe-servers-yaml",
		Short: "Print what a Tahoe-LAFS client needs to store on this server",
		Long: `Prints this storage server as an entry of a Tahoe-LAFS client's
private/servers.yaml. The node need not run.

WHAT IT PRINTS IS A SECRET: it holds the swissnum, which is the right to store
on this server. Give it only to people who may, over a channel that you trust,
and keep it in files that only you can read.

On the client's side, Tahoe-LAFS 1.20 or later with its Tor support
(pip install 'tahoe-lafs[tor]') and a tor whose control port it may use. Its
tahoe.cfg needs these lines; the other keys stay as they are:

  [node]
  reveal-IP-address = false
  tub.port = disabled
  tub.location = disabled

  [connections]
  tcp = tor

  [tor]
  control.port = unix:/run/tor/control    # or tcp:127.0.0.1:9051
  socks.port = unix:/run/tor/socks        # or tcp:127.0.0.1:9050

  [client]
  force_foolscap = false
  shares.needed = 3                       # with five servers, for instance
  shares.happy = 4
  shares.total = 5

"tcp = tor" is not to be left out: without it Tahoe-LAFS asks the system's
resolver for the onion address, in the clear. The control port is how it finds
Tor's SOCKS port for storage servers; socks.port alone is not enough.

The printed text is its private/servers.yaml. For several servers, the entries
of all of them stand under one "storage:". After a restart of the client, its
web page lists the servers as connected, once it has reached each of them
within five seconds: the first time may take a minute.`,
		Example: `  lafs storage tahoe-servers-yaml > attic.yaml    # on the server
  mv attic.yaml ~/.tahoe/private/servers.yaml     # on the client
  tahoe run`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return a.tahoeServersYAML() },
	}
}

func (a *app) tahoeServersYAML() error {
	cfg, err := node.Load(a.dir)
	if errors.Is(err, node.ErrNoNode) {
		return noNode(node.Dir(a.dir))
	}
	if err != nil {
		return err
	}
	text, err := cfg.TahoeServersYAML()
	if err != nil {
		return err
	}
	a.keepOutputPrivate()
	_, err = a.stdout.Write(text)
	return err
}
