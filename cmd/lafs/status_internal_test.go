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

// TestNobodyConnected: no server connected is not shown as trouble.
func TestNobodyConnected(t *testing.T) {
	for _, tt := range []struct {
		name    string
		servers []node.ServerStatus
		want    string
		says    bool
	}{
		{"at the start", []node.ServerStatus{{ID: "v0-a"}, {ID: "v0-b"}}, "2 known, 0 connected now", true},
		{"in use", []node.ServerStatus{{ID: "v0-a", Connected: true}, {ID: "v0-b"}}, "2 known, 1 connected now", false},
		{"none", nil, "0 known, 0 connected now", false},
	} {
		var out strings.Builder
		if err := showStatus(&out, &node.Status{Role: "client", Servers: tt.servers}); err != nil {
			t.Fatal(err)
		}
		if got := out.String(); !strings.Contains(got, tt.want) || strings.Contains(got, "when a command first needs it") != tt.says {
			t.Errorf("%s: got %q", tt.name, got)
		}
	}
}
