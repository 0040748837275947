package node

import (
	"strings"
	"testing"
)

func TestVotesKept(t *testing.T) {
	hosts := map[string]bool{"a": true, "b": true, "c": true}
	if got := votesKept([]string{"x"}, hosts); got != "" {
		t.Errorf("votesKept: got %q of a server without shares", got)
	}
	if got := votesKept([]string{"x", "b", "c"}, hosts); !strings.HasPrefix(got, "; 2 of the 3 servers") {
		t.Errorf("votesKept: got %q", got)
	}
}
