package main

import (
	"strings"
	"testing"
	"time"

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
		{node.ServerStatus{LastUsed: time.Now().Add(-5 * time.Minute)}, "not connected, used 5 min ago"},
		{node.ServerStatus{LastUsed: time.Now().Add(-5 * time.Minute), LastError: "no answer"}, "not connected, tried 5 min ago, no answer"},
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

func TestTorLine(t *testing.T) {
	for _, tt := range []struct {
		tor  node.TorStatus
		want string
	}{
		{node.TorStatus{Mode: "launch", Version: "0.4.9", Bootstrap: 100}, "launch, 0.4.9, connected"},
		{node.TorStatus{Mode: "launch", Bootstrap: 10, Summary: "Connecting to a relay"}, "launch, 10%, Connecting to a relay"},
		{node.TorStatus{Mode: "control", Bootstrap: 0, Warning: "it does not run"}, "control, 0%, it does not run"},
	} {
		if got := torLine(&tt.tor); got != tt.want {
			t.Errorf("torLine: got %q, want %q", got, tt.want)
		}
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
