package tor

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"time"

	"lafs/onion"
)

// moduleTimeout is for a program that prints a few lines and ends.
const moduleTimeout = 10 * time.Second

// workOf asks the tor program whether it was built with proof of work, which
// no control port tells. Tors before 0.4.8 have no such module and say
// nothing of it.
func workOf(ctx context.Context, program string) onion.Known {
	ctx, cancel := context.WithTimeout(ctx, moduleTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "--list-modules")
	cmd.Env, cmd.Dir, cmd.WaitDelay = bareEnvironment(), "/", time.Second
	var out bytes.Buffer
	cmd.Stdout = &out
	if cmd.Run() != nil {
		return onion.Unknown
	}
	return parseWork(out.String())
}

// bareEnvironment is what our tor gets of ours.
func bareEnvironment() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}
}

// parseWork reads the list of modules: a name, a colon, yes or no.
func parseWork(list string) onion.Known {
	known := onion.Unknown
	for line := range strings.Lines(list) {
		name, has, ok := strings.Cut(strings.TrimSpace(line), ":")
		switch {
		case !ok:
		case name == "pow" && strings.TrimSpace(has) == "yes":
			return onion.Yes
		default:
			known = onion.No // a list, in which it is missing or "no"
		}
	}
	return known
}
