// Silence runs a command in a network namespace of its own, in which only
// the loopback interface exists, and fails if anything in it tried to reach
// beyond: it reads the namespace's own counters of packets that found no
// route and of datagrams sent, so that an attempt is seen even where the
// program under test swallowed the error.
//
//	silence go test -short ./...
//
// It exits with the command's own status; 86 says that the command
// succeeded but was not silent, 87 that no namespace could be made (some
// containers forbid it).
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
)

const (
	exitLoud        = 86
	exitNoNamespace = 87
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: silence COMMAND [ARGUMENT]...")
		os.Exit(2)
	}
	if os.Getenv(insideVariable) == "" {
		os.Exit(outside(os.Args[1:]))
	}
	os.Exit(inside(os.Args[1:]))
}

// inside runs in the namespace.
func inside(args []string) int {
	if err := raiseLoopback(); err != nil {
		fmt.Fprintln(os.Stderr, "silence: raise the loopback interface:", err)
		return exitNoNamespace
	}
	before, err := readCounters()
	if err != nil {
		fmt.Fprintln(os.Stderr, "silence: read the namespace's counters:", err)
		return exitNoNamespace
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	os.Unsetenv(insideVariable)
	code := exitCode(cmd.Run())
	after, err := readCounters()
	if err != nil {
		fmt.Fprintln(os.Stderr, "silence: read the namespace's counters:", err)
		return exitNoNamespace
	}
	if loud := after.since(before); loud != "" {
		fmt.Fprintf(os.Stderr, "silence: NOT SILENT: %s\n", loud)
		if code == 0 {
			return exitLoud
		}
	}
	return code
}

func exitCode(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	fmt.Fprintln(os.Stderr, "silence:", err)
	return 1
}
