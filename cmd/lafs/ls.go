package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

type lsOptions struct{ long, human, uri, readOnlyURI, classify, asJSON bool }

func (a *app) lsCommand() *cobra.Command {
	var o lsOptions
	cmd := &cobra.Command{
		Use:   "ls [PATH]",
		Short: "List a directory",
		Long: `List a directory, or show a file. Without PATH it lists the default alias.

-l puts before each name what it is (d a directory, - a file, ? unknown to this
lafs) and what you may do (r read, w write, x enter), its size in bytes, and when
it was linked there. Characters of a name that could steer a terminal are written
as \u{...}; --json gives names as they are.`,
		Example: `  lafs ls
  lafs ls -l tahoe:photos
  lafs ls --json photos:2026`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: a.completeGrid,
	}
	find := a.finder(cmd)
	cmd.Flags().BoolVarP(&o.long, "long", "l", false, "with kind, rights, size and time")
	cmd.Flags().BoolVar(&o.human, "human", false, "sizes for people, such as 1.5 MiB")
	cmd.Flags().BoolVarP(&o.uri, "uri", "u", false, "with the caps, which are secrets")
	cmd.Flags().BoolVar(&o.readOnlyURI, "readonly-uri", false, "with the caps that only read")
	cmd.Flags().BoolVarP(&o.classify, "classify", "F", false, "with / behind directories, * behind files that can be changed")
	cmd.Flags().BoolVar(&o.asJSON, "json", false, "the node's answer, as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		path := ""
		if len(args) == 1 {
			path = args[0]
		}
		p, err := find.onGrid(path)
		if err == nil {
			err = a.ls(cmd.Context(), p, o)
		}
		if err != nil {
			return fmt.Errorf("ls: %w", err)
		}
		return nil
	}
	return cmd
}

func (a *app) ls(ctx context.Context, p place, o lsOptions) error {
	if o.uri || o.readOnlyURI || o.asJSON {
		a.keepOutputPrivate()
	}
	m := a.meter("reading the directory", 0)
	defer m.end()
	if o.asJSON {
		body, err := a.running().describe(ctx, p)
		m.end()
		if err != nil {
			return err
		}
		defer body.Close()
		err = copyJSON(a.stdout, body, isTerminal(a.stdout))
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return err
	}
	now := time.Now()
	var names []string
	rows := map[string][]string{}
	e, err := a.running().each(ctx, p, func(name string, child entry) error {
		if rows[name] == nil {
			names = append(names, name)
		}
		rows[name] = o.row(name, &child, now)
		return nil
	})
	m.end()
	if err != nil {
		return err
	}
	if !e.directory() {
		name := "(" + p.root + ")" // a file has no name of its own
		if n := len(p.names); n > 0 {
			name = p.names[n-1]
		}
		names, rows = []string{name}, map[string][]string{name: o.row(name, e, now)}
	}
	slices.Sort(names)
	out := bufio.NewWriter(a.stdout)
	sorted := make([][]string, len(names))
	for i, name := range names {
		sorted[i] = rows[name]
	}
	if err := writeColumns(out, sorted); err != nil {
		return err
	}
	return out.Flush()
}

// row is one line of a listing.
func (o lsOptions) row(name string, e *entry, now time.Time) []string {
	var row []string
	kind, size, mark := e.glance(o.human)
	if o.long {
		row = append(row, kind, size, e.linked(now))
	}
	name = shown(name)
	if o.classify {
		name += mark
	}
	row = append(row, name)
	if o.uri {
		row = append(row, printable(orDash(e.cap())))
	}
	if o.readOnlyURI {
		row = append(row, printable(orDash(e.ROURI)))
	}
	return row
}

// glance tells what an entry is, as the first columns of `ls -l`, and the
// mark behind its name.
func (e *entry) glance(human bool) (kind, size, mark string) {
	rights := func(first string) string {
		out := []byte(first + "---")
		if e.ROURI != "" {
			out[1] = 'r'
		}
		if e.RWURI != "" {
			out[2] = 'w'
		}
		if e.directory() {
			out[3] = 'x'
		}
		return string(out)
	}
	switch {
	case e.directory():
		return rights("d"), "-", "/"
	case e.kind != kindFile:
		return rights("?"), "?", "?"
	}
	if e.RWURI != "" {
		mark = "*"
	}
	switch n := e.size(); {
	case n < 0:
		size = "?"
	case human:
		size = humanSize(n)
	default:
		size = strconv.FormatInt(n, 10)
	}
	return rights("-"), size, mark
}

// halfYear is the age from which a listing gives a year in place of a time.
const halfYear = 180 * 24 * time.Hour

// linked tells when an entry came into its directory.
func (e *entry) linked(now time.Time) string {
	var m struct {
		Tahoe struct {
			Created float64 `json:"linkcrtime"`
		} `json:"tahoe"`
		Old float64 `json:"ctime"`
	}
	_ = json.Unmarshal(e.Metadata, &m) // others may have written anything
	seconds := m.Tahoe.Created
	if seconds == 0 {
		seconds = m.Old
	}
	if !(seconds > 0 && seconds < 1<<40) {
		return "-"
	}
	t := time.Unix(int64(seconds), 0)
	if now.Sub(t) > halfYear {
		return t.Format("Jan 02  2006")
	}
	return t.Format("Jan 02 15:04")
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// writeColumns writes rows of the same length in columns; caps, and a lone
// column, are set to the left.
func writeColumns(w io.Writer, rows [][]string) error {
	var widths []int
	var left []bool
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths, left = append(widths, 0), append(left, len(row) == 1)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
			left[i] = left[i] || isCap(cell)
		}
	}
	for _, row := range rows {
		var b strings.Builder
		for i, cell := range row {
			if i > 0 {
				b.WriteByte(' ')
			}
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if left[i] {
				b.WriteString(cell + pad)
			} else {
				b.WriteString(pad + cell)
			}
		}
		if _, err := fmt.Fprintln(w, strings.TrimRight(b.String(), " ")); err != nil {
			return err
		}
	}
	return nil
}
