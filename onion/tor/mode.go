package tor

import (
	"fmt"
	"strings"
)

// A Mode says which Tor a node uses. The zero Mode is launch.
type Mode struct {
	kind kind
	at   endpoint // of control and socks
}

type kind int

const (
	launch kind = iota
	system
	control
	socks
	auto
)

// ParseMode reads the value of --tor and of [tor] mode: "launch", "system",
// "control=ADDR", "socks=ADDR" or "auto". ADDR is unix:/absolute/path,
// 127.0.0.1:PORT or [::1]:PORT. The empty string is launch.
func ParseMode(s string) (Mode, error) {
	name, addr, named := strings.Cut(s, "=")
	if !named {
		switch s {
		case "", "launch":
			return Mode{kind: launch}, nil
		case "system":
			return Mode{kind: system}, nil
		case "auto":
			return Mode{kind: auto}, nil
		case "control", "socks":
			return Mode{}, fmt.Errorf("%s needs an address: %s=unix:/path or %s=127.0.0.1:PORT", s, s, s)
		}
	}
	var m Mode
	switch name {
	case "control":
		m.kind = control
	case "socks":
		m.kind = socks
	default:
		return Mode{}, fmt.Errorf("unknown way to Tor %q; choose launch, system, control=ADDR, socks=ADDR or auto", clip(s))
	}
	at, err := parseEndpoint(addr)
	if err != nil {
		return Mode{}, err
	}
	m.at = at
	return m, nil
}

// String returns what ParseMode reads.
func (m Mode) String() string {
	switch m.kind {
	case system:
		return "system"
	case control:
		return "control=" + m.at.String()
	case socks:
		return "socks=" + m.at.String()
	case auto:
		return "auto"
	default:
		return "launch"
	}
}

// CanPublish reports whether nodes of this mode can run a storage server or
// an introducer. With auto that shows only when Tor was found.
func (m Mode) CanPublish() bool { return m.kind != socks }

// DefaultMode is the mode for a new node on this machine: launch, but system
// on Tails and Whonix, where no other Tor reaches the network.
func DefaultMode() Mode { return readEnvironment().defaultMode() }

func (e environment) defaultMode() Mode {
	if e.filtered() {
		return Mode{kind: system}
	}
	return Mode{kind: launch}
}

// clip shortens what a user typed before it is quoted in an error.
func clip(s string) string {
	const most = 40
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
