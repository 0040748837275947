package tornet

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const consensusFile = "cached-microdesc-consensus"

// waitConsensus waits for the first consensus of the authority whose data
// directory is given. It fails when that consensus lacks a server: the next
// one would come minutes later.
func waitConsensus(ctx context.Context, dir string, servers []*process) error {
	for {
		b, err := os.ReadFile(filepath.Join(dir, consensusFile))
		if err == nil {
			return completeConsensus(string(b))
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, p := range servers[1:] {
			select {
			case <-p.done:
				return p.diedError()
			default:
			}
		}
		if err := servers[0].pause(ctx); err != nil {
			return err
		}
	}
}

// completeConsensus checks that every server is listed as running.
func completeConsensus(doc string) error {
	running := map[string]bool{}
	var nickname string
	for line := range strings.Lines(doc) {
		f := strings.Fields(line)
		switch {
		case len(f) > 1 && f[0] == "r":
			nickname = f[1]
		case len(f) > 1 && f[0] == "s":
			running[nickname] = slices.Contains(f[1:], "Running")
		}
	}
	for _, name := range serverNames() {
		if !running[name] {
			return fmt.Errorf("the first consensus of the tor network came without %s: the machine may be too busy", name)
		}
	}
	return nil
}

// seedFiles matches the documents that a client would otherwise fetch.
var seedFiles = []string{consensusFile, "cached-certs", "cached-microdescs", "cached-microdescs.new"}

// saveSeed copies the authority's network documents to the seed directory.
func (n *Net) saveSeed() error {
	if err := os.Mkdir(n.Seed(), 0o700); err != nil {
		return err
	}
	return copySeed(n.path(authorityName), n.Seed())
}

func copySeed(from, to string) error {
	for _, name := range seedFiles {
		b, err := os.ReadFile(filepath.Join(from, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // tor keeps one or both of the microdescriptor files
		}
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, name), b, 0o600); err != nil {
			return err
		}
	}
	return nil
}
