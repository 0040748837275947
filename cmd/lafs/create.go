package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"lafs/node"
)

type createOptions struct {
	node.CreateOptions
	dir      string
	reserved string
	foreign  map[string]*string

	introducerFiles []string
}

func (a *app) createNode() *cobra.Command {
	o := createOptions{CreateOptions: node.CreateOptions{Storage: true}}
	var noStorage bool
	cmd := &cobra.Command{
		Use:   "create-node [DIR]",
		Short: "Make the directory of a storage server that is a client too",
		Long: `Make the directory of a storage server, with its keys. Whoever learns of it from
the introducer may store on it, until no more than --reserved-space is left free
on its disk; lafs storage grant and revoke change who may, and how much.

It is a client too, whose own files go by the --shares numbers: see lafs
create-client --help.`,
		Example: `  lafs create-node --introducer-file introducer.furl
  lafs -d /srv/lafs create-node --introducer-file introducer.furl --storage-dir /big --reserved-space 50G`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Storage = !noStorage
			return a.create(cmd, args, &o)
		},
	}
	a.clientFlags(cmd, &o)
	cmd.Flags().BoolVar(&noStorage, "no-storage", false, "make a client only")
	cmd.Flags().StringVar(&o.StorageDir, "storage-dir", "", "where shares are kept (default: storage in the node's directory)")
	cmd.Flags().StringVar(&o.reserved, "reserved-space", "1G", "space to leave free on that disk; 1G is 10^9 bytes, 1GiB 2^30")
	return cmd
}

func (a *app) createClient() *cobra.Command {
	o := createOptions{}
	var noStorage bool
	cmd := &cobra.Command{
		Use:   "create-client [DIR]",
		Short: "Make the directory of a client",
		Long: `Make the directory of a client, with its keys. Any k (--shares-needed) of the N
shares of a file (--shares-total) rebuild it, and a put fails unless it reaches
--shares-happy servers: in a grid of fewer than seven, give a smaller number. These
can be changed in the directory's tahoe.cfg, for files that are put from then on;
private/introducers.yaml has the introducers.`,
		Example: `  lafs create-client --introducer-file subscriber.furl
  lafs -d ~/.lafs create-client --introducer-file subscriber.furl --shares-needed 3 --shares-happy 5 --shares-total 10`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.create(cmd, args, &o) },
	}
	a.clientFlags(cmd, &o)
	cmd.Flags().BoolVar(&noStorage, "no-storage", true, "a client has none")
	cmd.Flags().MarkHidden("no-storage")
	return cmd
}

func (a *app) createIntroducer() *cobra.Command {
	o := createOptions{CreateOptions: node.CreateOptions{Introducer: true}}
	cmd := &cobra.Command{
		Use:   "create-introducer [DIR]",
		Short: "Make the directory of an introducer",
		Long: `Make the directory of an introducer, where storage servers announce themselves
and clients learn of them. Its two addresses are secrets and exist at once:
one for storage servers, one for clients, who cannot announce with theirs.`,
		Example: `  lafs -d ~/intro create-introducer
  lafs -d ~/intro run`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.create(cmd, args, &o) },
	}
	a.commonFlags(cmd, &o)
	return cmd
}

func (a *app) clientFlags(cmd *cobra.Command, o *createOptions) {
	a.commonFlags(cmd, o)
	f := cmd.Flags()
	f.StringArrayVar(&o.Introducers, "introducer", nil, "an introducer's address; may be given more than once; on the command line, which others on this machine may see")
	f.StringArrayVar(&o.introducerFiles, "introducer-file", nil, "a file with an introducer's address; - is standard input; may be given more than once")
	f.IntVar(&o.Needed, "shares-needed", node.DefaultNeeded, "shares that rebuild a file (k)")
	f.IntVar(&o.Happy, "shares-happy", node.DefaultHappy, "distinct servers that an upload must reach")
	f.IntVar(&o.Total, "shares-total", node.DefaultTotal, "shares made of a file (N)")
	f.StringVar(&o.WebPort, "webport", node.DefaultWebPort, "where other programs reach the web API on this machine, or none")
}

func (a *app) commonFlags(cmd *cobra.Command, o *createOptions) {
	cmd.Annotations = map[string]string{startsTor: "yes"}
	f := cmd.Flags()
	f.StringVarP(&o.dir, "basedir", "C", "", "the directory to make, instead of --node-directory")
	f.StringVar(&o.Nickname, "nickname", "", "a name to announce to everybody; none is best")
	f.StringVar(&o.TorFragment, "tor-fragment", "", "lines for the torrc of a launched tor, for a private Tor network")
	f.StringVar(&o.TorExecutable, "tor-executable", "", "the tor program to launch")
	a.foreignFlags(cmd, o)
}

// create makes the directory.
func (a *app) create(cmd *cobra.Command, args []string, o *createOptions) error {
	if err := o.refuseForeign(cmd); err != nil {
		return err
	}
	if o.reserved != "" {
		n, err := node.ParseSize(o.reserved)
		if err != nil {
			return fmt.Errorf("--reserved-space: %w", err)
		}
		o.ReservedSpace = &n
	}
	if err := a.chooseTor(cmd, o); err != nil {
		return err
	}
	for _, name := range o.introducerFiles {
		furl, err := a.readFURL(name)
		if err != nil {
			return err
		}
		o.Introducers = append(o.Introducers, furl)
	}
	dir := a.dir
	switch {
	case len(args) == 1 && (o.dir != "" || cmd.Flags().Changed("node-directory")):
		return fmt.Errorf("the directory is given twice")
	case len(args) == 1:
		dir = args[0]
	case o.dir != "":
		dir = o.dir
	default:
		if err := a.needDir(); err != nil {
			return err
		}
	}
	c, err := node.Create(dir, o.CreateOptions)
	if err != nil {
		return err
	}
	a.explainCreated(c)
	return nil
}

// maxFURL bounds what is read of a file that should hold one line.
const maxFURL = 4 << 10

// readFURL reads an introducer's address from a file, where no other user
// sees it as one sees a command line.
func (a *app) readFURL(name string) (string, error) {
	in := io.NopCloser(a.input)
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return "", fmt.Errorf("--introducer-file: %w", err)
		}
		in = f
	}
	defer in.Close()
	text, err := io.ReadAll(io.LimitReader(in, maxFURL+1))
	if err != nil {
		return "", fmt.Errorf("--introducer-file: %w", err)
	}
	furl := strings.TrimSpace(string(text))
	if furl == "" || len(text) > maxFURL {
		return "", errors.New("--introducer-file: it does not hold one line with an introducer's address")
	}
	return furl, nil
}
