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
	smallFiles = 100
	entries    = 10_000
)

// many measures where there is much of what is small.
func (b *bench) many(ctx context.Context) error {
	if err := b.smallFiles(ctx); err != nil {
		return err
	}
	return b.largeDirectory(ctx)
}

// smallFiles puts many files into a new directory at once.
func (b *bench) smallFiles(ctx context.Context) error {
	var dirs []string
	for range b.runs {
		dir, err := b.ask(ctx, http.MethodPost, "/uri?t=mkdir", nil)
		if err != nil {
			return err
		}
		dirs = append(dirs, string(dir))
	}
	i := 0
	w, err := b.row(fmt.Sprintf("put %d files of 1 KiB into a directory", smallFiles), b.runs, func() error {
		dir := dirs[i]
		i++
		group, ctx := errgroup.WithContext(ctx)
		for n := range smallFiles {
			group.Go(func() error {
				return b.send(ctx, http.MethodPut, fmt.Sprintf("/uri/%s/file%d", dir, n), content(1<<10))
			})
		}
		return group.Wait()
	})
	if err != nil {
		return err
	}
	return b.report.add(w)
}

// largeDirectory lists a directory of many entries, and adds one to it.
func (b *bench) largeDirectory(ctx context.Context) error {
	children := map[string]any{}
	for n := range entries {
		children[fmt.Sprintf("entry number %d", n)] = []any{"filenode", map[string]string{"ro_uri": literal(fmt.Sprint(n))}}
	}
	body, err := json.Marshal(children)
	if err != nil {
		return err
	}
	made, err := b.ask(ctx, http.MethodPost, "/uri?t=mkdir-with-children", body)
	if err != nil {
		return err
	}
	dir := string(made)
	list, err := b.row(fmt.Sprintf("list a directory of %d entries", entries), b.runs, func() error {
		return b.send(ctx, http.MethodGet, "/uri/"+dir+"?t=json", nil)
	})
	if err != nil {
		return err
	}
	n := entries
	add, err := b.row(fmt.Sprintf("link into a directory of %d entries", entries), b.runs, func() error {
		n++
		return b.send(ctx, http.MethodPut, fmt.Sprintf("/uri/%s/entry%d?t=uri", dir, n), []byte(literal(fmt.Sprint(n))))
	})
	if err != nil {
		return err
	}
	if err := b.report.add(list); err != nil {
		return err
	}
	return b.report.add(add)
}

// literal is the cap of a file that is short enough to stand in it.
func literal(text string) string {
	return "URI:LIT:" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString([]byte(text)))
}
