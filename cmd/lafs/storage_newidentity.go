package main

import (
	"bufio"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lafs/node"
)

const newIdentityMeans = `This node's storage server becomes another one:
  - it gets a new server id, onion address and right to store; what was given out
    of band to clients (storage grant, servers.yaml) must be given anew
  - the shares that it holds stay, with their leases, and are served at the new
    address; files are found there as before
  - in objects that can be changed, which it held under its old name, it takes no
    part any more: they go on with their other servers, and their owners' check
    --repair makes up for it
  - clients stop using the old name within 30 days
The old identity's files are kept in private/. Never bring them back while the
new one is in use.
`

func (a *app) storageNewIdentityCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "new-identity",
		Short: "Make a server that lost its storage a new one",
		Long: `A storage server whose directory was wiped, or brought back from an older copy,
has forgotten votes that it gave, and takes no part in changes any more (lafs
status says so). If the right directory can be brought back, do that instead.
Stop the node first.

` + newIdentityMeans,
		Example: `  lafs -d /srv/lafs storage new-identity`,
		Args:    cobra.NoArgs,
		RunE:    func(*cobra.Command, []string) error { return a.newIdentity(yes) },
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

func (a *app) newIdentity(yes bool) error {
	var kept string
	err := a.stopped(func(cfg *node.Config) error {
		if !yes {
			if err := a.agree(newIdentityMeans); err != nil {
				return err
			}
		}
		var err error
		kept, err = node.NewIdentity(cfg, time.Now())
		return err
	})
	if err != nil {
		return err
	}
	cfg, err := node.Load(a.dir)
	if err != nil {
		return err
	}
	if !a.quiet {
		fmt.Fprintf(a.stderr, "the old identity is in %s\n", kept)
	}
	fmt.Fprintln(a.stdout, cfg.ServerID())
	return nil
}

// agree shows what will be, and asks once.
func (a *app) agree(means string) error {
	fmt.Fprint(a.stderr, means)
	if !isTerminal(a.stdin) {
		return errors.New("nobody can be asked here: say --yes if that is what you want")
	}
	fmt.Fprint(a.stderr, "Go on? Type yes: ")
	answer, err := bufio.NewReader(a.input).ReadString('\n')
	if err != nil || strings.TrimSpace(answer) != "yes" {
		return errors.New("nothing was changed")
	}
	return nil
}
