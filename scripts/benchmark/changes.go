package main

import (
	"context"
	"fmt"
	"net/http"
)

// changes measures mutable files and directories. Their limit is the trip.
func (b *bench) changes(ctx context.Context) error {
	file, err := b.ask(ctx, http.MethodPut, "/uri?format=SDMF", content(1<<10))
	if err != nil {
		return err
	}
	made, err := b.ask(ctx, http.MethodPost, "/uri?t=mkdir", nil)
	if err != nil {
		return err
	}
	dir := string(made)
	if _, err := b.ask(ctx, http.MethodPut, "/uri/"+dir+"/a/b/c/file", content(1<<10)); err != nil {
		return err
	}
	entries := 0
	for _, op := range []struct {
		name string
		run  func() error
	}{
		{"make a directory", func() error { return b.send(ctx, http.MethodPost, "/uri?t=mkdir", nil) }},
		{"list a directory", func() error { return b.send(ctx, http.MethodGet, "/uri/"+dir+"?t=json", nil) }},
		{"put 1 KiB into a directory", func() error {
			entries++
			return b.send(ctx, http.MethodPut, fmt.Sprintf("/uri/%s/file%d", dir, entries), content(1<<10))
		}},
		{"get d/a/b/c/file of 1 KiB", func() error { return b.getAll(ctx, dir+"/a/b/c/file", 1<<10) }},
		{"read a mutable file of 1 KiB", func() error { return b.getAll(ctx, string(file), 1<<10) }},
		{"overwrite a mutable file with 1 KiB", func() error { return b.send(ctx, http.MethodPut, "/uri/"+string(file), content(1<<10)) }},
		{"check a directory", func() error { _, err := b.check(ctx, dir, false); return err }},
	} {
		w, err := b.row(op.name, b.runs, op.run)
		if err != nil {
			return err
		}
		if err := b.report.add(w); err != nil {
			return err
		}
	}
	return nil
}

// send is ask where only success matters.
func (b *bench) send(ctx context.Context, method, path string, body []byte) error {
	_, err := b.ask(ctx, method, path, body)
	return err
}
