package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func (a *app) getCommand() *cobra.Command {
	var capFile string
	var fresh bool
	find := &finder{a: a}
	cmd := &cobra.Command{
		Use:   "get PATH|CAP|- [FILE]",
		Short: "Read a file by its path or cap",
		Long: `Read a file by its path or its cap into FILE, or to standard output. FILE
appears, readable by you only, when it is whole. What an interrupted get has read of
a file that cannot change stays in FILE.part, and the same command goes on from there,
but on disks where every file is everybody's to write.

A cap on the command line can be read by every program that you run, and stays
in the shell's history. With - it is read from standard input, with --cap-file
from a file.`,
		Example: `  lafs get tahoe:texts/report.pdf copy.pdf
  lafs get - copy.pdf < report.cap
  lafs get --cap-file report.cap copy.pdf
  lafs get --no-resume --cap-file report.cap copy.pdf   # begin anew
  lafs get --cap-file photos.cap | tar x`,
		Args:              cobra.MaximumNArgs(2),
		ValidArgsFunction: a.completeGet,
	}
	cmd.Flags().StringVar(&find.dirCap, "dir-cap", "", "the directory where paths without an alias begin")
	cmd.Flags().StringVar(&capFile, "cap-file", "", "read the cap from this file")
	cmd.Flags().BoolVar(&fresh, "no-resume", false, "remove what an interrupted get left, and begin anew")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		p, rest, err := find.file(capFile, args)
		if err != nil {
			return fmt.Errorf("get: %w", err)
		}
		dst := "-"
		if len(rest) == 1 {
			dst = rest[0]
		}
		return a.get(cmd.Context(), p, dst, fresh)
	}
	return cmd
}

// file finds what get is to read and returns the arguments that are left.
func (f *finder) file(capFile string, args []string) (p place, rest []string, err error) {
	if capFile != "" || len(args) == 0 || args[0] == "-" {
		p.root = givenCap
		p.cap, rest, err = f.a.readCap(capFile, args)
	} else {
		p, err = f.onGrid(args[0])
		rest = args[1:]
	}
	if err == nil && (p.slash || len(p.names) == 0 && directory(p.cap) && isCap(p.cap)) {
		err = errDirectory
	}
	return p, rest, err
}

var errDirectory = errors.New("that is a directory; lafs cp -r copies directories, lafs ls lists them")

// readCap finds the cap and returns the arguments that are left. Its errors
// never quote it.
func (a *app) readCap(file string, args []string) (string, []string, error) {
	var from io.Reader
	switch {
	case file == "" && len(args) == 0:
		return "", nil, errors.New("which file? Give its path or cap, - to read the cap from standard input, or --cap-file")
	case file != "" && len(args) > 1:
		return "", nil, errors.New("with --cap-file give only the file to write")
	case file != "":
		f, err := os.Open(file)
		if err != nil {
			return "", nil, err
		}
		defer f.Close()
		from = f
	case args[0] == "-":
		from, args = a.input, args[1:]
	default:
		return strings.TrimSpace(args[0]), args[1:], nil
	}
	cap, err := readOneCap(from)
	return cap, args, err
}

func (a *app) get(ctx context.Context, p place, dst string, fresh bool) error {
	err := checkTarget(dst)
	switch {
	case err != nil:
	case dst == "-":
		err = a.getStream(ctx, p, a.stdout)
	case isSpecial(dst):
		// A device or a pipe is written as it is.
		var f *os.File
		if f, err = os.OpenFile(dst, os.O_WRONLY, 0); err == nil {
			err = a.getStream(ctx, p, f)
			err = errors.Join(err, f.Close())
		}
	default:
		err = a.getFile(ctx, p, dst, fresh)
	}
	if err != nil {
		return fmt.Errorf("get: %w", err)
	}
	return nil
}

// getStream writes the file to out as it comes.
func (a *app) getStream(ctx context.Context, p place, out io.Writer) error {
	return a.getWhole(ctx, p, func(copy func(io.Writer) (int64, error)) (int64, error) { return copy(out) })
}

// getWhole reads the file from its beginning, and has write choose where it is
// copied to.
func (a *app) getWhole(ctx context.Context, p place, write func(copy func(io.Writer) (int64, error)) (int64, error)) error {
	start := time.Now()
	m := a.meter("asking", 0)
	defer m.end()
	resp, err := a.open(ctx, p, 0)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	m.set("reading", 0, resp.ContentLength)
	n, err := write(func(out io.Writer) (int64, error) { return receive(ctx, m.writer(out), resp.Body) })
	m.end()
	if err == nil && !a.quiet {
		summary(a.stderr, "read", n, time.Since(start))
	}
	return err
}

// getFile writes the file to dst, going on with what an earlier get left.
func (a *app) getFile(ctx context.Context, p place, dst string, fresh bool) error {
	start := time.Now()
	m := a.meter("asking", 0)
	defer m.end()
	out, err := openPart(dst, fresh)
	if errors.Is(err, errNoModes) {
		// No part can be kept there.
		m.end()
		return a.getWhole(ctx, p, func(copy func(io.Writer) (int64, error)) (int64, error) { return newFile(dst, copy) })
	}
	if err != nil {
		return err
	}
	resp, err := a.resume(ctx, p, out)
	if err == nil {
		m.set("reading", out.size, out.size+resp.ContentLength)
		_, err = receive(ctx, m.writer(out), resp.Body)
		resp.Body.Close()
	}
	m.end()
	if err != nil {
		if kept := out.leave(); kept > 0 && !a.quiet {
			fmt.Fprintf(a.stderr, "%s of the file are kept in %s; the same command goes on from there\n", humanSize(kept), partPath(dst))
		}
		return err
	}
	if err := out.finish(); err != nil {
		return err
	}
	if !a.quiet {
		if out.begun > 0 {
			fmt.Fprintf(a.stderr, "%s were there from an interrupted get\n", humanSize(out.begun))
		}
		summary(a.stderr, "read", out.size-out.begun, time.Since(start))
	}
	return nil
}

// open asks the node for the bytes of a file from some byte on. The caller
// looks whether it got them all instead.
func (a *app) open(ctx context.Context, p place, from int64) (*http.Response, error) {
	resp, err := a.running().fetch(ctx, p.url(), from)
	if err != nil {
		return nil, p.explain(err)
	}
	// The node shows a directory as a page, which nobody can read in parts.
	if len(p.names) > 0 && resp.Header.Get("Accept-Ranges") == "" {
		resp.Body.Close()
		return nil, errDirectory
	}
	return resp, nil
}

// resume opens the rest of the file of which out is a part; all of it where
// out is a part of another file, or of none. It asks again for the last byte
// that is there: so there is always one to ask for.
func (a *app) resume(ctx context.Context, p place, out *part) (*http.Response, error) {
	if out.size > 0 {
		resp, err := a.open(ctx, p, out.size-1)
		if err == nil {
			if goesOn(resp, out) {
				return resp, nil
			}
			resp.Body.Close()
		} else if !errors.Is(err, errBeyond) {
			return nil, err
		}
	}
	resp, err := a.open(ctx, p, 0)
	if err == nil {
		if err = out.restart(resp.Header.Get("ETag")); err != nil {
			resp.Body.Close()
		}
	}
	return resp, err
}

// goesOn reads the first byte of an answer, and reports whether the rest
// belongs behind what is there.
func goesOn(resp *http.Response, out *part) bool {
	if resp.StatusCode != http.StatusPartialContent || !out.continues(resp.Header.Get("ETag")) {
		return false
	}
	if !strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", out.size-1)) {
		return false
	}
	var first [1]byte
	if _, err := io.ReadFull(resp.Body, first[:]); err != nil {
		return false
	}
	resp.ContentLength--
	last, err := out.last()
	return err == nil && last == first[0]
}

// receive copies an answer's bytes; an answer that ends early is an error.
func receive(ctx context.Context, w io.Writer, body io.Reader) (int64, error) {
	n, err := io.Copy(w, body)
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = brokenOff(n)
	}
	return n, err
}

// brokenOff is the error of a file of which only n bytes came.
func brokenOff(n int64) error {
	return &refusal{fmt.Sprintf("the node broke off after %s: too few good shares could be reached, or the node was stopped; lafs status tells", humanSize(n))}
}

// checkTarget refuses, before anything is fetched, a file that could not be
// written for its name.
func checkTarget(dst string) error {
	if dst == "" {
		return errors.New("the file to write has no name")
	}
	if st, err := os.Stat(dst); err == nil && st.IsDir() {
		return errors.New("that is a directory; name the file to write")
	}
	_, err := os.Stat(filepath.Dir(dst))
	return err
}

// isSpecial tells what is there and no regular file.
func isSpecial(dst string) bool {
	st, err := os.Stat(dst)
	return err == nil && !st.Mode().IsRegular()
}

// newFile runs copy on a file that replaces dst, with mode 0600, once it is
// whole and on the disk.
func newFile(dst string, copy func(io.Writer) (int64, error)) (n int64, err error) {
	f, err := os.CreateTemp(filepath.Dir(dst), ".lafs-get-*")
	if err != nil {
		return 0, pathReason("write "+dst, err)
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
		// Nobody knows the name that it had.
		if pe, ok := errors.AsType[*fs.PathError](err); ok && pe.Path == f.Name() {
			err = pathReason("write "+dst, err)
		}
	}()
	if n, err = copy(f); err != nil {
		return n, err
	}
	if err = f.Sync(); err != nil {
		return n, err
	}
	if err = f.Close(); err != nil {
		return n, err
	}
	err = os.Rename(f.Name(), dst)
	return n, err
}
