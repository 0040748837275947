package tor

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
)

func TestEnvironment(t *testing.T) {
	type vars map[string]string
	for _, tt := range []struct {
		name            string
		whonix, tails   bool
		vars            vars
		controls, socks string
	}{
		{"nothing", false, false, nil, "[]", "[]"},
		{"ports", false, false, vars{"TOR_CONTROL_PORT": "9051", "TOR_SOCKS_PORT": "9050"}, "[127.0.0.1:9051]", "[127.0.0.1:9050]"},
		{"sockets first", false, false, vars{"TOR_CONTROL_IPC_PATH": "/c", "TOR_CONTROL_PORT": "1", "TOR_SOCKS_IPC_PATH": "/s"}, "[unix:/c 127.0.0.1:1]", "[unix:/s]"},
		{"localhost", false, false, vars{"TOR_CONTROL_HOST": "localhost", "TOR_CONTROL_PORT": "9051"}, "[127.0.0.1:9051]", "[]"},
		{"foreign host", false, false, vars{"TOR_CONTROL_HOST": "10.0.0.1", "TOR_CONTROL_PORT": "9051"}, "[]", "[]"},
		{"name", false, false, vars{"TOR_SOCKS_HOST": "example.com", "TOR_SOCKS_PORT": "9050"}, "[]", "[]"},
		{"garbage", false, false, vars{"TOR_SOCKS_PORT": "x", "TOR_CONTROL_IPC_PATH": "relative"}, "[]", "[]"},
		{"gateway", true, false, vars{"TOR_CONTROL_HOST": "10.152.152.10", "TOR_CONTROL_PORT": "9051"}, "[10.152.152.10:9051]", "[127.0.0.1:9050]"},
		{"gateway on the Internet", true, false, vars{"TOR_CONTROL_HOST": "192.0.2.1", "TOR_CONTROL_PORT": "9051"}, "[]", "[127.0.0.1:9050]"},
		{"Tails", false, true, nil, "[]", "[127.0.0.1:9050]"},
	} {
		e := environment{whonix: tt.whonix, tails: tt.tails, get: func(k string) string { return tt.vars[k] }}
		if got := fmt.Sprint(e.controls()); got != tt.controls {
			t.Errorf("controls of %s: got %s, want %s", tt.name, got, tt.controls)
		}
		if got := fmt.Sprint(e.socks()); got != tt.socks {
			t.Errorf("socks of %s: got %s, want %s", tt.name, got, tt.socks)
		}
	}
}

func TestNoProgramSaysHowToInstall(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := findProgram("", nil)
	if !errors.Is(err, errNoProgram) || !strings.Contains(err.Error(), "apt install tor") {
		t.Errorf("findProgram: got %v, want how to install tor", err)
	}
}

// A system Tor whose control port does not let us in still serves clients,
// and Listen says what is in the way.
func TestSocksOnlySaysWhyNot(t *testing.T) {
	p := socksPort{why: errNotPermitted}
	if _, err := p.target(0); !errors.Is(err, errSocksOnly) || !errors.Is(err, errNotPermitted) {
		t.Errorf("target: got %v", err)
	}
}

// Where only the system's Tor reaches the network, a new node uses it, and
// none is launched beside it.
func TestWhonixAndTailsLaunchNothing(t *testing.T) {
	dead := func(string) string { return "" }
	for _, tt := range []struct {
		name string
		env  environment
		mode string
		want error
	}{
		{"whonix", environment{whonix: true, get: dead}, "system", errWhonix},
		{"tails", environment{tails: true, get: dead}, "system", errTails},
		{"elsewhere", environment{get: dead}, "launch", fs.ErrNotExist},
	} {
		if got := tt.env.defaultMode().String(); got != tt.mode {
			t.Errorf("%s: the default is %s, want %s", tt.name, got, tt.mode)
		}
		for _, k := range []kind{launch, auto} {
			n := newTor(Config{Mode: Mode{kind: k}, Executable: "/nonexistent/tor"})
			if _, _, err := n.launchOwn(t.Context(), tt.env); !errors.Is(err, tt.want) {
				t.Errorf("%s: launch: got %v, want %v", tt.name, err, tt.want)
			}
		}
	}
}

// The environment's control port is taken, and keeps its name in the status.
func TestFindByEnvironment(t *testing.T) {
	f := newControl(t, &fakeControl{})
	env := environment{get: func(k string) string {
		if k == "TOR_CONTROL_IPC_PATH" {
			return f.path
		}
		return ""
	}}
	for _, k := range []kind{system, auto} {
		n := newTor(Config{Mode: Mode{kind: k}})
		from, s, err := n.find(t.Context(), env)
		if err != nil {
			t.Fatal(err)
		}
		s.close()
		if from.mode() != "system" || !from.publishes() || s.version != "0.4.9.11" || s.socks.String() != "unix:/run/tor/socks" {
			t.Errorf("find: got %s, %+v", from.mode(), s)
		}
	}
}
