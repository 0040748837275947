package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"lafs/node"
)

func (a *app) addServerCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "add-server [FILE]",
		Short: "Store on a server whose operator granted you space",
		Long: `Store on a server whose operator granted you space: FILE, or standard input,
holds the line that lafs storage grant printed there. It is written into
private/servers.yaml, and stands before what introducers say of that server. Start
the node again then.`,
		Example: `  lafs add-server alice.server`,
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			name := "-"
			if len(args) == 1 {
				name = args[0]
			}
			return a.addServer(name)
		},
	}
}

// maxServerLine bounds what is read of a file that should hold one server.
const maxServerLine = 64 << 10

func (a *app) addServer(name string) error {
	in := io.NopCloser(a.input)
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		in = f
	}
	defer in.Close()
	text, err := io.ReadAll(io.LimitReader(in, maxServerLine+1))
	if err != nil {
		return fmt.Errorf("read the server's line: %w", err)
	}
	if len(text) > maxServerLine {
		return errors.New("this is too long for the line of one server")
	}
	ids, err := node.AddServers(a.dir, text)
	if errors.Is(err, node.ErrNoNode) {
		return noNode(node.Dir(a.dir))
	}
	if err != nil {
		return err
	}
	if !a.quiet {
		for _, id := range ids {
			fmt.Fprintf(a.stderr, "added server %s; it is used from the next start of the node on\n", shortID(id))
		}
	}
	return nil
}
