package node_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lafs/node"
)

// TestLogOfAFlood: what peers can bring about without end does not fill the
// log, hides nothing else, and is counted.
func TestLogOfAFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log, troubles := node.NewTroubles(slog.NewTextHandler(&out, nil))
		for range 10_000 {
			log.Warn("refuse a session: too many", "max", 5)
			log.Info("of no concern")
		}
		log.Error("the storage directory fails")
		if got := strings.Count(out.String(), "refuse"); got != 10 {
			t.Errorf("the log has %d lines of a flood, want 10", got)
		}
		if got := out.String(); strings.Count(got, "of no concern") != 10_000 || !strings.Contains(got, "the storage directory fails") {
			t.Error("the log lacks what is no flood")
		}
		if got := troubles(); len(got) != 2 || got[1].Count != 10_000 {
			t.Errorf("the status: got %+v", got)
		}
		out.Reset()
		time.Sleep(time.Minute)
		for range 2 {
			log.Warn("refuse a session: too many", "max", 5)
		}
		if got := out.String(); strings.Count(got, "refuse") != 2 || strings.Count(got, "held_back=9990") != 1 {
			t.Errorf("a minute later: got %q", got)
		}
	})
}
