package tornet

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const consensusFile = "cached-microdesc-consensus"

// The voting interval until there is a consensus, and the part of it between
// the vote and the consensus: tor cuts longer delays to a quarter each.
const (
	firstInterval = 5 * time.Second
	votePhases    = 2 * time.Second
	voteSlack     = 300 * time.Millisecond // for the request to vote
)

// voteNow waits until the authority, the first of the servers, knows them all
// and has it vote then. A vote at a fixed time either keeps a fast machine
// waiting or leaves out a server of a slow one, which a consensus then lacks
// for minutes.
func voteNow(ctx context.Context, servers []*process) error {
	c, err := servers[0].connect(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	for {
		known, err := c.descriptors()
		if err != nil {
			return fmt.Errorf("ask tor %s which relays it knows: %w", servers[0].name, err)
		}
		if known == len(servers) {
			break
		}
		if err := pauseAll(ctx, servers); err != nil {
			return err
		}
	}
	_, err = c.ask(fmt.Sprintf("SETCONF TestingV3AuthInitialVotingInterval=%d TestingV3AuthVotingStartOffset=%d",
		int(firstInterval.Seconds()), votingOffset(time.Now())))
	if err != nil {
		return fmt.Errorf("have tor %s vote: %w", servers[0].name, err)
	}
	return nil
}

// votingOffset is how far a voting interval must be shifted, in seconds, for
// the first vote to fall within a second of now.
func votingOffset(now time.Time) int {
	at := now.Add(votePhases + voteSlack)
	return int(math.Ceil(float64(at.UnixMilli())/1000)) % int(firstInterval.Seconds())
}

// pauseAll waits a moment, and fails when one of the servers has ended.
func pauseAll(ctx context.Context, servers []*process) error {
	for _, p := range servers[1:] {
		select {
		case <-p.done:
			return p.diedError()
		default:
		}
	}
	return servers[0].pause(ctx)
}

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
		if err := pauseAll(ctx, servers); err != nil {
			return err
		}
	}
}

// completeConsensus checks that every server is listed as running, and all
// with the same weight. They advertise the little that they have moved so far:
// mostly nothing, and then all are alike. But where one shows a kilobyte a
// second and the others none, clients choose that one alone, and never find
// three for a circuit.
func completeConsensus(doc string) error {
	running := map[string]bool{}
	weight := ""
	var nickname string
	for line := range strings.Lines(doc) {
		f := strings.Fields(line)
		switch {
		case len(f) > 1 && f[0] == "r":
			nickname = f[1]
		case len(f) > 1 && f[0] == "s":
			running[nickname] = slices.Contains(f[1:], "Running")
		case len(f) > 1 && f[0] == "w":
			if weight != "" && weight != f[1] {
				return errors.New("the first consensus of the tor network prefers some servers to others")
			}
			weight = f[1]
		}
	}
	for _, name := range serverNames() {
		if !running[name] {
			return fmt.Errorf("the first consensus of the tor network came without %s", name)
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
