package main

import (
	"context"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"golang.org/x/sync/errgroup"
)

const (
	smallFiles    = 100
	smallMost     = 6 // trips for all of them
	entries       = 10_000
	literalFormat = "URI:LIT:%s"
)

// many measures where there is much of what is small.
func (b *bench) many(ctx context.Context) error {
	if err := b.compare(ctx, smallOnes); err != nil {
		return err
	}
	return b.compare(ctx, largeDirectory)
}

// smallOnes puts many files into a new directory at once.
func smallOnes(_ context.Context, s *side) ([]operation, error) {
	var dir string
	return []operation{{
		name:  fmt.Sprintf("put %d files of 1 KiB into a directory", smallFiles),
		trips: 1, atMost: smallMost,
		prepare: func(ctx context.Context, _ int) (err error) {
			dir, err = s.mkdir(ctx)
			return err
		},
		run: func(ctx context.Context, _ int) error {
			if s.ours {
				return each(ctx, func(ctx context.Context, n int) error {
					return s.send(ctx, http.MethodPut, fmt.Sprintf("/uri/%s/file%d", dir, n), content(1<<10))
				})
			}
			return linked(ctx, s, dir)
		},
	}}, nil
}

// linked is the fastest way of Tahoe-LAFS: it changes a directory once for each
// request, one after the other, so all files are put first and then linked in
// one request, as its command cp does.
func linked(ctx context.Context, s *side, dir string) error {
	caps := make([]string, smallFiles)
	err := each(ctx, func(ctx context.Context, n int) (err error) {
		caps[n], err = s.putAll(ctx, content(1<<10))
		return err
	})
	if err != nil {
		return err
	}
	children := map[string]any{}
	for n, cap := range caps {
		children[fmt.Sprintf("file%d", n)] = child(cap)
	}
	body, err := json.Marshal(children)
	if err != nil {
		return err
	}
	return s.send(ctx, http.MethodPost, "/uri/"+dir+"?t=set_children", body)
}

// each runs f for every small file at once.
func each(ctx context.Context, f func(context.Context, int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	for n := range smallFiles {
		group.Go(func() error { return f(ctx, n) })
	}
	return group.Wait()
}

// child is a file as the web API takes it for a directory's entry.
func child(cap string) any { return []any{"filenode", map[string]string{"ro_uri": cap}} }

// largeDirectory lists a directory of many entries, and adds one to it.
func largeDirectory(ctx context.Context, s *side) ([]operation, error) {
	children := map[string]any{}
	for n := range entries {
		children[fmt.Sprintf("entry number %d", n)] = child(literal(fmt.Sprint(n)))
	}
	body, err := json.Marshal(children)
	if err != nil {
		return nil, err
	}
	made, err := s.ask(ctx, http.MethodPost, "/uri?t=mkdir-with-children", body)
	if err != nil {
		return nil, err
	}
	dir := strings.TrimSpace(string(made))
	return []operation{
		{name: fmt.Sprintf("list a directory of %d entries", entries), run: func(ctx context.Context, _ int) error {
			return s.send(ctx, http.MethodGet, "/uri/"+dir+"?t=json", nil)
		}},
		{name: fmt.Sprintf("link into a directory of %d entries", entries), run: func(ctx context.Context, i int) error {
			return s.send(ctx, http.MethodPut, fmt.Sprintf("/uri/%s/entry%d?t=uri", dir, i), []byte(literal(fmt.Sprint(i))))
		}},
	}, nil
}

// literal is the cap of a file that is short enough to stand in it.
func literal(text string) string {
	return fmt.Sprintf(literalFormat, strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString([]byte(text))))
}
