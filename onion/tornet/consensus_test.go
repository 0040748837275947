package tornet

import (
	"strings"
	"testing"
	"time"
)

func TestCompleteConsensus(t *testing.T) {
	full := "network-status-version 3 microdesc\n"
	for _, name := range serverNames() {
		full += "r " + name + " AAAA 2026-01-01 00:00:00 127.0.0.1 10001 0\nm BBBB\ns Fast Guard HSDir Running Valid\n"
	}
	if err := completeConsensus(full); err != nil {
		t.Errorf("all running: %v", err)
	}
	for _, name := range serverNames() {
		for what, doc := range map[string]string{
			"absent": strings.Replace(full, "r "+name, "r other", 1),
			"down":   strings.Replace(full, "r "+name+" ", "r x AAAA\ns Running\nr "+name+" ", 1),
		} {
			if what == "down" {
				at := strings.Index(doc, "r "+name)
				doc = doc[:at] + strings.Replace(doc[at:], " Running", "", 1)
			}
			if err := completeConsensus(doc); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s %s: got %v, want an error that names it", name, what, err)
			}
		}
	}
}

// A consensus that prefers a server to the others is of no use: clients would
// build no circuit.
func TestUnevenConsensus(t *testing.T) {
	doc := func(first string) string {
		out, weight := "", first
		for _, name := range serverNames() {
			out += "r " + name + " AAAA\ns Running Valid\nw Bandwidth=" + weight + " Unmeasured=1\n"
			weight = "0"
		}
		return out
	}
	if err := completeConsensus(doc("0")); err != nil {
		t.Errorf("all alike: %v", err)
	}
	if err := completeConsensus(doc("1")); err == nil {
		t.Error("one preferred: got no error")
	}
}

// The first vote is called for a moment at most a second away, never past.
func TestVotingOffset(t *testing.T) {
	for ms := range int64(10_000) {
		now := time.UnixMilli(1_700_000_000_000 + ms)
		offset := int64(votingOffset(now))
		at := now.Add(votePhases + voteSlack)
		next := at.Unix()
		for next%5 != offset || time.Unix(next, 0).Before(at) {
			next++
		}
		if wait := time.Unix(next, 0).Sub(at); wait >= time.Second {
			t.Fatalf("at %v: offset %d makes the vote wait %v more", now, offset, wait)
		}
	}
}
