package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
)

// changes measures mutable files and directories. Their limit is the trip.
func (b *bench) changes(ctx context.Context) error {
	return b.compare(ctx, changing)
}

func changing(ctx context.Context, s *side) ([]operation, error) {
	made, err := s.ask(ctx, http.MethodPut, "/uri?format=SDMF", content(1<<10))
	if err != nil {
		return nil, err
	}
	file := strings.TrimSpace(string(made))
	dir, err := s.mkdir(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.send(ctx, http.MethodPut, "/uri/"+dir+"/a/b/c/file", content(1<<10)); err != nil {
		return nil, err
	}
	return []operation{
		// One trip, and the making of a key, which takes as long as luck has it.
		{name: "make a directory", trips: 1, run: func(ctx context.Context, _ int) error {
			_, err := s.mkdir(ctx)
			return err
		}},
		{name: "list a directory", trips: 1, atMost: oneTrip, run: func(ctx context.Context, _ int) error {
			return s.send(ctx, http.MethodGet, "/uri/"+dir+"?t=json", nil)
		}},
		{name: "put 1 KiB into a directory", trips: 2, atMost: twoTrips, atLeast: 3, run: func(ctx context.Context, i int) error {
			return s.send(ctx, http.MethodPut, fmt.Sprintf("/uri/%s/file%d", dir, i), content(1<<10))
		}},
		{name: "get d/a/b/c/file of 1 KiB", trips: 5, atMost: walkMost, run: func(ctx context.Context, _ int) error {
			return s.get(ctx, dir+"/a/b/c/file", 1<<10)
		}},
		{name: "read a mutable file of 1 KiB", trips: 1, run: func(ctx context.Context, _ int) error { return s.get(ctx, file, 1<<10) }},
		{name: "overwrite a mutable file with 1 KiB", trips: 2, atMost: twoTrips, run: func(ctx context.Context, _ int) error {
			return s.send(ctx, http.MethodPut, "/uri/"+file, content(1<<10))
		}},
		{name: "check a directory", trips: 1, atMost: oneTrip, run: func(ctx context.Context, _ int) error { return s.healthy(ctx, dir) }},
	}, nil
}
