package node

import (
	"errors"
	"testing"

	"lafs/onion"
)

// What is wrong with Tor is told whole, and of a node that has just been
// started that it has.
func TestNetworkError(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status onion.Status
		ready  bool
		want   string
		down   bool
	}{
		{"well", onion.Status{Bootstrap: 100}, true, "", false},
		{"starting", onion.Status{Bootstrap: 14, Summary: "Handshaking", Warning: "no route"}, false,
			"the node is still starting: " + onion.ErrTorDown.Error() + " (14%, Handshaking, no route)", true},
		{"gone", onion.Status{Bootstrap: 0, Warning: "it does not run"}, true, onion.ErrTorDown.Error() + " (0%, it does not run)", true},
		{"ailing", onion.Status{Bootstrap: 100, Warning: "clock skew"}, true, "Tor says: clock skew", false},
	} {
		n := &Node{deps: Deps{NetworkStatus: func() onion.Status { return tt.status }}}
		n.isReady.Store(tt.ready)
		err := n.networkError()
		if (err == nil) != (tt.want == "") || err != nil && err.Error() != tt.want || errors.Is(err, onion.ErrTorDown) != tt.down {
			t.Errorf("%s: got %v, want %s", tt.name, err, tt.want)
		}
	}
}
