package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"lafs/node"
	"lafs/node/authority"
)

type grantOptions struct {
	quota   string
	noQuota bool
	renew   bool
	asJSON  bool
}

func (a *app) storageGrantCommand() *cobra.Command {
	var o grantOptions
	cmd := &cobra.Command{
		Use:   "grant NAME",
		Short: "Let somebody store under a name and a quota of its own",
		Long: `Let somebody store on this server under a name and a quota of its own.

The first time, one line is printed that a client needs (lafs add-server reads
it). It is a secret, and not kept: who loses it gets another with --new-secret.
Granted again, the authority is switched on again, and its quota changed.

The authority "default" is whoever knows the storage address that the node
announces. A quota counts whole blocks of the disk, so that a small share takes
8 KiB; who has used it up can still read, and renew leases. A change is in force
at once, on a running node too.`,
		Example: `  lafs storage grant alice --quota 10G > alice.server
  lafs storage grant default --quota 200G
  lafs storage grant alice --new-secret > alice.server`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.grant(cmd.Context(), args[0], o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.quota, "quota", "", "the most that it may take of the disk, such as 10G (10^10 bytes) or 10GiB")
	f.BoolVar(&o.noQuota, "no-quota", false, "no quota but the disk's space")
	f.BoolVar(&o.renew, "new-secret", false, "give it another secret; the old one is refused from then on")
	f.BoolVar(&o.asJSON, "json", false, "as JSON, for programs")
	return cmd
}

func (a *app) grant(ctx context.Context, name string, o grantOptions) error {
	req := node.GrantRequest{Name: name, Renew: o.renew}
	switch {
	case o.quota != "" && o.noQuota:
		return errors.New("--quota and --no-quota exclude each other")
	case o.noQuota:
		none := int64(authority.NoQuota)
		req.Quota = &none
	case o.quota != "":
		n, err := node.ParseSize(o.quota)
		if err != nil {
			return fmt.Errorf("--quota: %w", err)
		}
		req.Quota = &n
	}
	a.keepOutputPrivate()
	var answer node.GrantAnswer
	err := a.operate(ctx, "POST", node.GrantPath, req, &answer)
	if errors.Is(err, errNotRunning) {
		err = a.stopped(func(c *node.Config) (err error) {
			answer, err = c.Grant(req)
			return err
		})
	}
	if err != nil {
		return err
	}
	if o.asJSON {
		return a.printJSON(answer)
	}
	if answer.Client != "" {
		fmt.Fprintln(a.stdout, answer.Client)
	}
	if !a.quiet {
		fmt.Fprintf(a.stderr, "%s may store here, %s\n", answer.Authority.Name, quotaText(answer.Authority.Quota))
		if answer.Client != "" {
			fmt.Fprintln(a.stderr, "the line is what its client needs (lafs add-server); it is a secret and not shown again")
		}
	}
	return nil
}

func quotaText(quota int64) string {
	if quota == authority.NoQuota {
		return "without a quota"
	}
	return "at most " + humanSize(quota)
}
