package main

import (
	"strings"
	"testing"

	"lafs/node"
)

// TestServerLine: a person sees which servers keep no votes.
func TestServerLine(t *testing.T) {
	for _, tt := range []struct {
		server node.ServerStatus
		want   string
	}{
		{node.ServerStatus{Source: "self"}, "this node"},
		{node.ServerStatus{Connected: true, Lanes: 1}, "connected, 1 circuit"},
		{node.ServerStatus{Connected: true, Lanes: 2, OnlyTahoe: true},
			"connected, 2 circuits, Tahoe's protocol only: changes are agreed on by clients alone"},
	} {
		if got := serverLine(&tt.server); got != tt.want {
			t.Errorf("serverLine: got %q, want %q", got, tt.want)
		}
	}
	if out := (&strings.Builder{}); showStatus(out, &node.Status{Role: "client", Servers: []node.ServerStatus{{ID: "v0-abcdefghi", OnlyTahoe: true}}}) != nil ||
		!strings.Contains(out.String(), "Tahoe's protocol only") {
		t.Errorf("showStatus: %q", out)
	}
}
