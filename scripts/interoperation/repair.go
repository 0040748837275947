package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// repairs: a server is lost, and each side mends what the other stored.
func (v *visit) repairs(ctx context.Context) {
	v.step(ctx, "Tahoe-LAFS checks a file, every byte", func(ctx context.Context) error {
		out, err := v.theirs.Do(ctx, http.MethodPost, uri(v.large)+"?t=check&verify=true&add-lease=true&output=JSON", nil)
		return wantHealth(out, err, "results", total)
	})
	var byLafs string
	v.step(ctx, "lafs puts 100 KiB for Tahoe-LAFS to mend", func(ctx context.Context) error {
		out, err := v.ours.Lafs(ctx, strings.NewReader(string(random(100<<10))), "put")
		byLafs = strings.TrimSpace(string(out))
		return err
	})
	lost := v.grid.Servers[0]
	lost.Kill()
	v.step(ctx, "a server dies; Tahoe-LAFS's deep check finds and mends, and adds leases", func(ctx context.Context) error {
		out, err := v.theirs.Tahoe(ctx, nil, "deep-check", "--repair", "--add-lease", "--verify", "-v", v.dir)
		if err != nil {
			return err
		}
		if !strings.Contains(string(out), "4 objects checked") {
			return fmt.Errorf("it says:\n%s", out)
		}
		return nil
	})
	v.step(ctx, "Tahoe-LAFS finds the file whole after it", func(ctx context.Context) error {
		out, err := v.theirs.Do(ctx, http.MethodPost, uri(v.large)+"?t=check&verify=true&output=JSON", nil)
		return wantHealth(out, err, "results", total)
	})
	v.step(ctx, "Tahoe-LAFS mends what lafs stored", func(ctx context.Context) error {
		out, err := v.theirs.Do(ctx, http.MethodPost, uri(byLafs)+"?t=check&repair=true&output=JSON", nil)
		return wantHealth(out, err, "post-repair-results", total)
	})
	v.step(ctx, "the server comes back, and Tahoe-LAFS is connected to it again", func(ctx context.Context) error {
		if err := lost.Start(ctx); err != nil {
			return err
		}
		return v.theirs.AwaitServers(ctx, servers)
	})
	var more, dir string
	v.step(ctx, "Tahoe-LAFS puts 100 KiB, and a file into a new directory, for lafs to mend", func(ctx context.Context) (err error) {
		if more, err = put(ctx, v.theirs, "/uri", random(100<<10)); err != nil {
			return err
		}
		out, err := v.theirs.Do(ctx, http.MethodPost, "/uri?t=mkdir", nil)
		if dir = strings.TrimSpace(string(out)); err != nil {
			return err
		}
		_, err = put(ctx, v.theirs, uri(dir)+"/linked?t=uri", []byte(more))
		return err
	})
	v.grid.Servers[1].Kill()
	for _, o := range []struct{ name, cap string }{{"file", more}, {"directory", dir}} {
		v.step(ctx, "another server dies; lafs mends the "+o.name+" of Tahoe-LAFS's", func(ctx context.Context) error {
			out, err := v.ours.Lafs(ctx, strings.NewReader(o.cap+"\n"), "check", "--repair", "--add-lease", "--raw", "-")
			return wantHealth(out, err, "post-repair-results", total)
		})
	}
	v.step(ctx, "Tahoe-LAFS lists the directory that lafs mended", func(ctx context.Context) error {
		out, err := v.theirs.Do(ctx, http.MethodGet, uri(dir)+"?t=json", nil)
		return wantChildren(out, err, []string{"linked"})
	})
}

// wantHealth looks at the JSON of a check (TAHOE.md, "Web API"): as many good
// shares as wanted.
func wantHealth(out []byte, err error, key string, shares int) error {
	if err != nil {
		return fmt.Errorf("%w: %.600s", err, out)
	}
	var all map[string]json.RawMessage
	var r struct {
		Results struct {
			Good    int  `json:"count-shares-good"`
			Healthy bool `json:"healthy"`
		}
	}
	if err := json.Unmarshal(out, &all); err != nil {
		return fmt.Errorf("not JSON: %.200s", out)
	}
	part := all[key]
	if key == "results" {
		part = out
	}
	if err := json.Unmarshal(part, &r); err != nil {
		return fmt.Errorf("no %s in %.400s", key, out)
	}
	if r.Results.Good < shares || !r.Results.Healthy {
		return fmt.Errorf("%d good shares of %d: %.600s", r.Results.Good, shares, out)
	}
	return nil
}
