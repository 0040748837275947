package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"lafs/introducer"
	"lafs/node"
)

// foreignFlags are those of Tahoe-LAFS that lafs answers with a reason, and
// those whose only sensible value it already has.
var foreignFlags = []struct{ name, why string }{
	{"listen", "a node listens as a Tor onion service, or not at all; leave --listen out"},
	{"location", "a node's location is its onion service; leave --location out"},
	{"port", "a node listens as a Tor onion service only; leave --port out"},
	{"hostname", "a node is found by its onion service, not by a name; leave --hostname out"},
	{"i2p-sam-port", "lafs speaks over Tor onion services only"},
	{"i2p-executable", "lafs speaks over Tor onion services only"},
	{"join", "invitations are not there yet; ask for the introducer's address"},
	{"helper", "lafs has no upload helper"},
}

func (a *app) foreignFlags(cmd *cobra.Command, o *createOptions) {
	f := cmd.Flags()
	o.foreign = map[string]*string{}
	for _, flag := range foreignFlags {
		o.foreign[flag.name] = f.String(flag.name, "", "")
		f.MarkHidden(flag.name)
	}
	// Always so, and therefore accepted.
	f.Bool("hide-ip", true, "")
	f.MarkHidden("hide-ip")
	f.Bool("tor-launch", false, "")
	f.MarkHidden("tor-launch")
	f.String("tor-control-port", "", "")
	f.MarkHidden("tor-control-port")
}

func (o *createOptions) refuseForeign(cmd *cobra.Command) error {
	for _, flag := range foreignFlags {
		if !cmd.Flags().Changed(flag.name) {
			continue
		}
		if v := *o.foreign[flag.name]; flag.name == "listen" && (v == "none" || v == "tor") {
			continue
		}
		return fmt.Errorf("--%s: %s", flag.name, flag.why)
	}
	if hide, _ := cmd.Flags().GetBool("hide-ip"); !hide {
		return errors.New("--hide-ip=false: lafs has no mode that shows an IP address")
	}
	return nil
}

// chooseTor turns the flags, ours and Tahoe-LAFS's, into a mode.
func (a *app) chooseTor(cmd *cobra.Command, o *createOptions) error {
	o.TorMode = a.tor
	if launch, _ := cmd.Flags().GetBool("tor-launch"); launch && o.TorMode == "" {
		o.TorMode = "launch"
	}
	if port, _ := cmd.Flags().GetString("tor-control-port"); port != "" && o.TorMode == "" {
		o.TorMode = "control=" + port
	}
	if o.TorMode == "" && o.TorExecutable == "" && o.TorFragment == "" {
		o.TorMode = defaultTorMode()
	}
	return checkTorMode(o.TorMode)
}

// explainCreated says what was made and what to do next.
func (a *app) explainCreated(c *node.Config) {
	if a.quiet {
		return
	}
	fmt.Fprintf(a.stdout, "Node created in %s\n", c.Dir)
	if c.Introducer {
		fmt.Fprintf(a.stdout, `The introducer's addresses, each a secret to hand over privately:
  for storage servers: %s
  for clients:         %s
`, c.Dir.IntroducerFURLFile(), c.Dir.SubscriberFURLFile())
	}
	for _, n := range c.Notices {
		fmt.Fprintf(a.stdout, "Note: %s\n", n)
	}
	if c.Client && len(c.Introducers) == 0 && len(c.Servers) == 0 {
		fmt.Fprintf(a.stdout, "It knows no introducer yet: write one into %s, as\n  introducers:\n    default:\n      furl: pb://...\n", c.Dir.IntroducersFile())
	}
	if c.Storage && len(c.Introducers) > 0 && !slices.ContainsFunc(slices.Collect(maps.Values(c.Introducers)), announces) {
		fmt.Fprintf(a.stdout, "Note: this introducer's address is one for clients, so nobody will learn of the storage server from it.\n"+
			"Ask for the one in its private/introducer.furl, and write that into %s\n", c.Dir.IntroducersFile())
	}
	fmt.Fprintf(a.stdout, "Start it with: lafs -d %s run\n", c.Dir)
}

// announces tells whether storage servers may announce themselves by an
// introducer's address.
func announces(furl *introducer.FURL) bool { return furl.PublishSecret() != nil }
