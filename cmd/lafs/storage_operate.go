package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"lafs/node"
)

// operate asks the running node to do something to its storage server; in and
// out are JSON. in may be nil.
func (a *app) operate(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	var size int64
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body, size = bytes.NewReader(b), int64(len(b))
	}
	resp, err := a.running().call(ctx, method, path, body, size)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxStatus)).Decode(out); err != nil {
		return fmt.Errorf("read the node's answer: %w", err)
	}
	return nil
}

// stopped runs f on a node that does not run, and that can't be started
// meanwhile.
func (a *app) stopped(f func(*node.Config) error) error {
	cfg, err := node.Load(a.dir)
	if errors.Is(err, node.ErrNoNode) {
		return noNode(node.Dir(a.dir))
	}
	if err != nil {
		return err
	}
	hold, err := node.Hold(cfg.Dir)
	if errors.Is(err, node.ErrRunning) {
		return fmt.Errorf("%w: stop it first", err)
	}
	if err != nil {
		return err
	}
	defer hold.Release()
	return f(cfg)
}

// printJSON writes v for programs.
func (a *app) printJSON(v any) error {
	out := json.NewEncoder(a.stdout)
	out.SetIndent("", "  ")
	return out.Encode(v)
}
