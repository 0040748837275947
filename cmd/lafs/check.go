package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
)

// raw is JSON; named puts before each result of whom it is.
type checkOptions struct{ verify, repair, addLease, raw, named bool }

func (a *app) checkCommand() *cobra.Command {
	var o checkOptions
	cmd := &cobra.Command{
		Use:   "check [PATH...]",
		Short: "Count the shares of a file or directory, and repair it",
		Long: `Ask the servers for the shares of a file or directory, and say how many are there.
The status is 0 when that could be done, whatever was found, and 1 when a repair
failed; a verify cap will do.

A repair takes servers that do not answer for half a minute to be lost for good:
a file that can be changed, or a directory, is moved off them if other servers
can take its place, or the ones that are left are better off without them.`,
		Example: `  lafs check tahoe:report.pdf
  lafs check --verify --repair tahoe:report.pdf
  lafs check --json - < report.cap`,
		ValidArgsFunction: a.completeGrid,
	}
	find := a.finder(cmd)
	cmd.Flags().BoolVar(&o.verify, "verify", false, "read every byte of every share")
	cmd.Flags().BoolVar(&o.repair, "repair", false, "make the shares that are missing, elsewhere if need be")
	cmd.Flags().BoolVar(&o.addLease, "add-lease", false, "renew the leases, or add some")
	cmd.Flags().BoolVar(&o.raw, "json", false, "the node's answer, as JSON")
	cmd.Flags().BoolVar(&o.raw, "raw", false, "the same, by Tahoe-LAFS's name")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			args = []string{""}
		}
		o.named = len(args) > 1
		for _, arg := range args {
			p, err := find.onGrid(arg)
			if err == nil {
				err = a.check(cmd.Context(), p, o)
			}
			if err != nil {
				return fmt.Errorf("check: %w", err)
			}
		}
		return nil
	}
	return cmd
}

// maxCheck bounds the node's answer, in bytes.
const maxCheck = 16 << 20

func (a *app) check(ctx context.Context, p place, o checkOptions) error {
	q := url.Values{"t": {"check"}, "output": {"JSON"}}
	for key, yes := range map[string]bool{"verify": o.verify, "repair": o.repair, "add-lease": o.addLease} {
		if yes {
			q.Set(key, "true")
		}
	}
	phase := "checking"
	switch {
	case o.repair:
		phase = "checking and repairing"
	case o.verify:
		phase = "reading all shares"
	}
	m := a.meter(phase, 0)
	text, err := a.running().ask(ctx, "POST", p.url()+"?"+q.Encode(), nil, maxCheck)
	m.end()
	if err != nil {
		return p.explain(err)
	}
	var r checkResult
	if err := json.Unmarshal(text, &r); err != nil {
		return errors.New("the node's answer is not what was expected")
	}
	if o.raw {
		err = copyJSON(a.stdout, bytes.NewReader(text), isTerminal(a.stdout))
	} else {
		text := r.text(o.repair)
		if o.named {
			text = p.String() + "\n" + text
		}
		_, err = io.WriteString(a.stdout, text)
	}
	if err == nil && r.Attempted && !r.Successful {
		err = errors.New("the repair failed")
	}
	return err
}

// A checkResult is Tahoe's JSON of a check, with or without a repair.
type checkResult struct {
	checked
	Attempted  bool     `json:"repair-attempted"`
	Successful bool     `json:"repair-successful"`
	Before     *checked `json:"pre-repair-results"`
}

type checked struct {
	StorageIndex string `json:"storage-index"`
	Summary      string `json:"summary"`
	Results      struct {
		Healthy bool     `json:"healthy"`
		Good    *int     `json:"count-shares-good"`
		Needed  int      `json:"count-shares-needed"`
		Total   int      `json:"count-shares-expected"`
		Wrong   int      `json:"count-wrong-shares"`
		Corrupt [][3]any `json:"list-corrupt-shares"`
	} `json:"results"`
}

// text writes the result for a person, as Tahoe-LAFS's command does.
func (r *checkResult) text(repair bool) string {
	c := &r.checked
	if r.Before != nil {
		c = r.Before
		c.Summary = "not healthy"
		if c.Results.Healthy {
			c.Summary = "healthy"
		}
	}
	if c.Summary == "" {
		// The cap itself holds all of a small file or directory.
		c.Summary = "Healthy (LIT)"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Summary: %s\n storage index: %s\n", printable(c.Summary), printable(r.StorageIndex))
	if c.Results.Good != nil {
		fmt.Fprintf(&b, " good-shares: %d (encoding is %d-of-%d)\n wrong-shares: %d\n",
			*c.Results.Good, c.Results.Needed, c.Results.Total, c.Results.Wrong)
	}
	if len(c.Results.Corrupt) > 0 {
		b.WriteString(" corrupt shares:\n")
	}
	for _, s := range c.Results.Corrupt {
		fmt.Fprintf(&b, "  %s\n", printable(fmt.Sprintf("server %v, SI %v, shnum %v", s[0], s[1], s[2])))
	}
	if !repair && !c.Results.Healthy {
		b.WriteString(" with --repair the shares that are missing are made again\n")
	}
	if repair && r.Attempted {
		outcome := "failed"
		if r.Successful {
			outcome = "successful"
		}
		fmt.Fprintf(&b, " repair %s\n", outcome)
	}
	return b.String()
}
