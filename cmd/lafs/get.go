package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func (a *app) getCommand() *cobra.Command {
	var capFile string
	find := &finder{a: a}
	cmd := &cobra.Command{
		Use:   "get PATH|CAP|- [FILE]",
		Short: "Read a file by its path or cap",
		Long: `Read a file by its path or its cap into FILE, or to standard output. FILE
appears, readable by you only, when it is whole; an interrupted get leaves nothing.

A cap on the command line can be read by every program that you run, and stays
in the shell's history. With - it is read from standard input, with --cap-file
from a file.`,
		Example: `  lafs get tahoe:texts/report.pdf copy.pdf
  lafs get - copy.pdf < report.cap
  lafs get --cap-file report.cap copy.pdf
  lafs get --cap-file photos.cap | tar x`,
		Args:              cobra.MaximumNArgs(2),
		ValidArgsFunction: a.completeGet,
	}
	cmd.Flags().StringVar(&find.dirCap, "dir-cap", "", "the directory where paths without an alias begin")
	cmd.Flags().StringVar(&capFile, "cap-file", "", "read the cap from this file")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		p, rest, err := find.file(capFile, args)
		if err != nil {
			return fmt.Errorf("get: %w", err)
		}
		dst := "-"
		if len(rest) == 1 {
			dst = rest[0]
		}
		return a.get(cmd.Context(), p, dst)
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

func (a *app) get(ctx context.Context, p place, dst string) error {
	if err := checkTarget(dst); err != nil {
		return fmt.Errorf("get: %w", err)
	}
	start := time.Now()
	m := a.meter("asking", 0)
	defer m.end()
	resp, err := a.running().call(ctx, "GET", p.url(), nil, 0)
	if err != nil {
		m.end()
		return fmt.Errorf("get: %w", err)
	}
	defer resp.Body.Close()
	// The node shows a directory as a page, which nobody can read in parts.
	if len(p.names) > 0 && resp.Header.Get("Accept-Ranges") == "" {
		return fmt.Errorf("get: %w", errDirectory)
	}
	m.set("reading", 0, resp.ContentLength)
	n, err := a.writeTo(dst, func(w io.Writer) (int64, error) {
		n, err := io.Copy(m.writer(w), resp.Body)
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = brokenOff(n)
		}
		return n, err
	})
	m.end()
	if err != nil {
		return fmt.Errorf("get: %w", err)
	}
	if !a.quiet {
		summary(a.stderr, "read", n, time.Since(start))
	}
	return nil
}

// brokenOff is the error of a file of which only n bytes came.
func brokenOff(n int64) error {
	return &refusal{fmt.Sprintf("the node broke off after %s: too few good shares could be reached; lafs status tells which servers are", humanSize(n))}
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

// writeTo runs copy on standard output, on a device or a pipe, or on a new
// file.
func (a *app) writeTo(dst string, copy func(io.Writer) (int64, error)) (n int64, err error) {
	if dst == "-" {
		return copy(a.stdout)
	}
	if st, err := os.Stat(dst); err == nil && !st.Mode().IsRegular() {
		// A device or a pipe is written as it is.
		f, err := os.OpenFile(dst, os.O_WRONLY, 0)
		if err != nil {
			return 0, err
		}
		n, err := copy(f)
		return n, errors.Join(err, f.Close())
	}
	return newFile(dst, copy)
}

// newFile runs copy on a file that replaces dst, with mode 0600, once it is
// whole and on the disk.
func newFile(dst string, copy func(io.Writer) (int64, error)) (n int64, err error) {
	f, err := os.CreateTemp(filepath.Dir(dst), ".lafs-get-*")
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		return 0, fmt.Errorf("write %s: %w", dst, pe.Err)
	}
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
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
