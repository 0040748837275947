package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lafs/node/gateway"
)

func (a *app) putCommand() *cobra.Command {
	var o putOptions
	cmd := &cobra.Command{
		Use:   "put [FILE [PATH]]",
		Short: "Store a file, and print its cap",
		Long: `Store a file, or standard input, on the grid and print its cap. The cap goes to
standard output, and nothing else does; a file that the shell makes for it is
yours alone to read. Keep it: it is the only way back to the file, and whoever has
it can read the file.

An interrupted put of a file goes on, when it is run again within half an hour, with
what the servers hold of it.

With PATH the file also gets a name in a directory. Where PATH is, or names, a
file that can be changed, that file gets the new content and keeps its cap. With
--cap-file or --dir-cap and no PATH, what that cap names is meant.`,
		Example: `  lafs put report.pdf > report.cap
  lafs put report.pdf tahoe:texts/report.pdf
  lafs put report.pdf --cap-file changing.cap   # new content for that file
  tar c photos | lafs put > photos.cap`,
		Args:              cobra.MaximumNArgs(2),
		ValidArgsFunction: a.completePut,
	}
	find := a.finder(cmd)
	cmd.Flags().BoolVarP(&o.mutable, "mutable", "m", false, "a file whose content can be changed later")
	cmd.Flags().StringVar(&o.format, "format", "", "SDMF or MDMF for a file that can be changed, CHK for one that cannot")
	cmd.Flags().StringVar(&o.keyFile, "private-key-path", "", "the RSA key of the new file that can be changed, as PEM")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		src, at, dst := "-", "", place{}
		if len(args) > 0 {
			src = args[0]
		}
		if len(args) > 1 {
			at = args[1]
		}
		if src == "-" && (at == "-" || find.capFile == "-") {
			return errors.New("put: standard input cannot be both the cap and the file")
		}
		// A cap that is given is not to be passed over: the file would be
		// stored elsewhere, and that one left as it was.
		if len(args) > 1 || find.capFile != "" || find.dirCap != "" {
			var err error
			if dst, err = find.onGrid(at); err != nil {
				return fmt.Errorf("put: %w", err)
			}
		}
		path, err := o.request(src, dst)
		if err != nil {
			return fmt.Errorf("put: %w", err)
		}
		return a.put(cmd.Context(), src, path, o.immutable(dst))
	}
	return cmd
}

// resumedFrom is the size, in bytes, from which going on is worth a word.
const resumedFrom = 1 << 20

// maxCap bounds the answer to a put, in bytes.
const maxCap = 4 << 10

// put stores src by a request to path, which may hold secrets. goesOn tells
// that an interrupted one is not for nothing.
func (a *app) put(ctx context.Context, src, path string, goesOn bool) error {
	a.keepOutputPrivate()
	in, size, err := a.openSource(ctx, src)
	if err != nil {
		return err
	}
	defer in.Close()
	start := time.Now()
	m := a.meter("reading", size)
	defer m.end()
	var accept []string
	if !a.quiet {
		accept = []string{gateway.ProgressType}
	}
	sent := &counted{w: io.Discard, m: m, all: size, then: "storing"}
	resp, err := a.running().call(ctx, "PUT", path, io.TeeReader(in, sent), size, accept...)
	var answer putAnswer
	if err == nil {
		defer resp.Body.Close()
		answer, err = readPutAnswer(resp, m)
	}
	m.end()
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil {
		if again := ctx.Err() != nil || errors.Is(err, errBrokeOff); again && goesOn && size > resumedFrom && !a.quiet {
			fmt.Fprintln(a.stderr, "servers keep for half an hour what they have of it; the same command goes on from there")
		}
		return fmt.Errorf("put: %w", err)
	}
	if _, err := fmt.Fprintln(a.stdout, answer.cap); err != nil {
		return fmt.Errorf("put: write the cap: %w", err)
	}
	if !a.quiet {
		summary(a.stderr, "stored", sent.n, time.Since(start))
		if answer.held > 0 {
			fmt.Fprintf(a.stderr, "%s of its shares were on servers already and were not sent\n", humanSize(answer.held))
		}
		if answer.pending {
			a.tellRest(answer.updates)
		}
	}
	return nil
}

// tellRest waits for what becomes of shares that the file does not need.
func (a *app) tellRest(updates *json.Decoder) {
	fmt.Fprintln(a.stderr, "it is safe already; the rest of its shares is on the way")
	var u gateway.Update
	if err := updates.Decode(&u); err != nil || u.Placed == nil {
		fmt.Fprintln(a.stderr, "what became of the rest is not known; lafs check --repair makes it whole")
		return
	}
	fmt.Fprintf(a.stderr, "%d of %d shares are on %d servers\n", u.Placed.Shares, u.Placed.Total, u.Placed.Servers)
}

// A putAnswer is what the node answered to a put.
type putAnswer struct {
	cap     string
	held    int64         // bytes that servers held already
	pending bool          // updates will tell of the rest
	updates *json.Decoder // nil where no progress was asked for
}

// readPutAnswer reads an answer as far as the cap, and shows what stands
// before it where progress was asked for.
func readPutAnswer(resp *http.Response, m *meter) (putAnswer, error) {
	if resp.Header.Get("Content-Type") != gateway.ProgressType {
		text, err := io.ReadAll(io.LimitReader(resp.Body, maxCap))
		if err != nil {
			return putAnswer{}, fmt.Errorf("read the node's answer: %w", err)
		}
		return putAnswer{cap: strings.TrimSpace(string(text))}, nil
	}
	updates := json.NewDecoder(resp.Body)
	for {
		var u gateway.Update
		if err := updates.Decode(&u); err != nil {
			return putAnswer{}, errBrokeOff
		}
		switch {
		case u.Error != "":
			return putAnswer{}, statusError(u.Status, u.Error)
		case u.Cap != "":
			return putAnswer{u.Cap, u.Held, u.Pending, updates}, nil
		case u.Progress != nil:
			m.set(u.Phase, u.Done, u.Total)
		}
	}
}

// openSource opens what is to be stored. The size is -1 where it cannot be
// known beforehand.
func (a *app) openSource(ctx context.Context, src string) (io.ReadCloser, int64, error) {
	if src == "-" {
		if isTerminal(a.stdin) && !a.quiet {
			fmt.Fprintln(a.stderr, "reading standard input until its end (Ctrl-D)")
		}
		return io.NopCloser(a.input), -1, nil
	}
	f, err := openPatiently(ctx, src)
	if err != nil {
		return nil, 0, fmt.Errorf("put: %w", err)
	}
	st, err := f.Stat()
	if err == nil && st.IsDir() {
		err = errors.New("put: that is a directory; lafs cp -r copies directories")
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	if !st.Mode().IsRegular() || st.Size() == 0 {
		// The kernel's own files say that they are empty, and are not.
		return f, -1, nil
	}
	return f, st.Size(), nil
}

// openPatiently opens a file to read. A named pipe opens only when somebody
// writes to it; until then the person can leave.
func openPatiently(ctx context.Context, name string) (*os.File, error) {
	type result struct {
		f   *os.File
		err error
	}
	done := make(chan result, 1)
	go func() {
		f, err := os.Open(name)
		done <- result{f, err}
	}()
	select {
	case r := <-done:
		return r.f, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
