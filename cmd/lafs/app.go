package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// An env is what the command gets from outside. Tests give their own.
type env struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	// network makes the network that a node runs on.
	network networkMaker
	// signals returns a context that ends when the process is told to stop.
	signals func() (context.Context, context.CancelFunc)
}

// An app is one call of the command.
type app struct {
	env
	input io.Reader // stdin, until the command is told to stop
	dir   string
	quiet bool
	tor   string
}

// run runs the command and returns its exit status.
func run(args []string, e env) (status int) {
	a := &app{env: e}
	defer func() {
		// Arguments of functions may be secret, their names are not.
		if r := recover(); r != nil {
			fmt.Fprintf(a.stderr, "lafs: internal error in %s; please report it\n", panicPlace())
			status = exitFailure
		}
	}()
	ctx, stop := e.signals()
	defer stop()
	a.input = &input{ctx, e.stdin}
	root := a.command()
	root.SetArgs(args)
	root.SetIn(e.stdin)
	root.SetOut(e.stdout)
	root.SetErr(e.stderr)
	err := root.ExecuteContext(ctx)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = errInterrupted
	}
	if err != nil {
		fmt.Fprintf(a.stderr, "lafs: %v\n", err)
	}
	return exitStatus(err)
}

// panicPlace names the function that panicked.
func panicPlace() string {
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	for {
		f, more := frames.Next()
		if f.Function != "" && !strings.HasPrefix(f.Function, "runtime.") {
			return f.Function
		}
		if !more {
			return "an unknown function"
		}
	}
}

// stopSignals listens to what ends a program. A hangup is left alone where
// the caller ignores it (nohup).
func stopSignals() (context.Context, context.CancelFunc) {
	stop := []os.Signal{syscall.SIGINT, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		stop = append(stop, syscall.SIGHUP)
	}
	ctx, cancel := signal.NotifyContext(context.Background(), stop...)
	// The second signal ends the process at once.
	context.AfterFunc(ctx, func() { signal.Reset(stop...) })
	return ctx, cancel
}

// command builds the command tree.
func (a *app) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "lafs",
		Short: "Store files on a grid of Tor onion services",
		Long: `lafs encrypts a file, cuts it into shares and spreads them over storage
servers that are reached as Tor onion services and in no other way. A short
string, the cap, is all that is needed to read the file again.`,
		Example: `  lafs create-client --introducer-file subscriber.furl
  lafs run
  lafs put report.pdf > report.cap
  lafs get - copy.pdf < report.cap
  lafs create-alias tahoe
  lafs cp -r photos tahoe:`,
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if a.tor != "" && cmd.Annotations[startsTor] == "" {
				return fmt.Errorf("--tor has no meaning for %s, which uses the running node and its Tor", cmd.Name())
			}
			// These are told of a directory in other ways too.
			if cmd.Annotations[startsTor] != "" || !usesNode(cmd) {
				return nil
			}
			return a.needDir()
		},
	}
	root.SetVersionTemplate("{{.Version}}\n")
	flags := root.PersistentFlags()
	flags.StringVarP(&a.dir, "node-directory", "d", defaultDir(), "the node's directory")
	flags.BoolVarP(&a.quiet, "quiet", "q", false, "no progress and no summary")
	flags.StringVar(&a.tor, "tor", "", "which Tor: launch, system, control=ADDR, socks=ADDR or auto (see lafs help tor)")
	root.Flags().BoolP("version", "V", false, "print the version")
	root.AddCommand(
		a.createNode(), a.createClient(), a.createIntroducer(),
		a.runCommand(), a.putCommand(), a.getCommand(), a.statusCommand(),
		a.createAliasCommand(), a.addAliasCommand(), a.listAliasesCommand(),
		a.mkdirCommand(), a.lsCommand(), a.mvCommand(), a.lnCommand(), a.unlinkCommand(),
		a.cpCommand(), a.checkCommand(), a.addServerCommand(), a.storageCommand(),
	)
	root.AddCommand(helpTopics()...)
	explainMisuse(root)
	return root
}

// startsTor marks the commands that choose a Tor.
const startsTor = "starts-tor"

// defaultDir is empty where there is no home: secrets do not go wherever the
// command happens to be called.
func defaultDir() string {
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, ".lafs")
}

// needDir fails where no directory is known.
func (a *app) needDir() error {
	if a.dir == "" {
		return errors.New("HOME is not set: name the node's directory with -d")
	}
	return nil
}

// usesNode tells the commands about a node from those that only print.
func usesNode(cmd *cobra.Command) bool {
	for cmd.HasParent() && cmd.Parent().HasParent() {
		cmd = cmd.Parent()
	}
	return cmd.HasParent() && !slices.Contains([]string{"help", "completion", cobra.ShellCompRequestCmd, cobra.ShellCompNoDescRequestCmd}, cmd.Name())
}
