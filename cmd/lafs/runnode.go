package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"lafs/node"
)

type runOptions struct {
	allowStdinClose bool
	logLevel        string
}

func (a *app) runCommand() *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "run [DIR]",
		Short: "Run the node, in the foreground",
		Long: `Run the node, in the foreground, until SIGINT or SIGTERM. It prints "client
running" or "introducer running" once it can be used. See lafs help service.`,
		Example: `  lafs run
  lafs -d /srv/lafs run --log-level debug
  lafs --tor control=unix:/run/tor/control run`,
		Args:        cobra.MaximumNArgs(1),
		Annotations: map[string]string{startsTor: "yes"},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				a.dir = args[0]
			}
			return a.run(cmd.Context(), o)
		},
	}
	cmd.Flags().BoolVar(&o.allowStdinClose, "allow-stdin-close", false, "go on when standard input, a pipe, closes")
	cmd.Flags().StringVar(&o.logLevel, "log-level", "warn", "debug, info, warn or error; the log goes to standard error")
	return cmd
}

// run runs the node of the directory until ctx ends.
func (a *app) run(ctx context.Context, o runOptions) error {
	show := a.bootstrapLine()
	log, err := logger(show, o.logLevel)
	if err == nil {
		err = a.needDir()
	}
	if err != nil {
		return err
	}
	cfg, err := node.Load(a.dir)
	if errors.Is(err, node.ErrNoNode) {
		return noNode(node.Dir(a.dir))
	}
	if err != nil {
		return err
	}
	if a.tor != "" {
		if err := cfg.SetTorMode(a.tor); err != nil {
			return err
		}
	}
	hold, err := node.Hold(cfg.Dir)
	if err != nil {
		return err
	}
	defer hold.Release()
	if hold.Crashed() {
		log.Warn("the node did not stop cleanly last time; a crash says why only with GOTRACEBACK=none (see lafs help service)")
	}
	undumpable()
	boundMemory()
	if !o.allowStdinClose {
		var stop context.CancelFunc
		ctx, stop = a.untilStdinCloses(ctx)
		defer stop()
	}
	return a.runOn(ctx, cfg, show, log)
}

// runOn starts the network and runs the node on it.
func (a *app) runOn(ctx context.Context, cfg *node.Config, show *bootstrapLine, log *slog.Logger) error {
	defer show.watch(log)()
	nw, err := a.network(ctx, cfg.Tor, cfg.Dir.TorDir(), log, show.update)
	if err != nil {
		return quietStop(ctx, err)
	}
	defer nw.Close()
	n, err := node.New(cfg, node.Deps{
		Network:       nw,
		NetworkStatus: nw.Status,
		Log:           log,
		Ready: func() {
			show.end()
			fmt.Fprintln(a.stdout, cfg.Role(), "running")
		},
	})
	if err != nil {
		return err
	}
	return quietStop(ctx, n.Run(ctx))
}

// quietStop drops the error of a node that was told to stop.
func quietStop(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func logger(out io.Writer, level string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("--log-level %q: write debug, info, warn or error", level)
	}
	return slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: l})), nil
}

// untilStdinCloses ends the context when standard input is a pipe or a
// socket and closes: the program that started us has gone. Anything else is
// not read: reading a terminal would stop a node in the background, and the
// end of a file or of /dev/null is no news.
func (a *app) untilStdinCloses(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	f, ok := a.stdin.(*os.File)
	if !ok {
		return ctx, cancel
	}
	st, err := f.Stat()
	if err != nil || st.Mode().Type()&(os.ModeNamedPipe|os.ModeSocket) == 0 {
		return ctx, cancel
	}
	// It ends with the process at the latest: a read of a pipe that another
	// process holds cannot be taken back.
	go func() {
		io.Copy(io.Discard, f)
		cancel()
	}()
	return ctx, cancel
}
