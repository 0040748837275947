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

// Help is the text on the modes for the command line's help.
const Help = `Everything lafs sends goes through Tor. There is no mode without it.

  launch         start a tor of our own, and stop it with us (the default).
                 Serves every role: client, storage server, introducer.
                 Needs the program tor; not on Whonix, which has its own.
  system         use the tor that runs on this machine, found at its usual
                 places and verified by its cookie. Every role, where its
                 control port lets us in; else clients only.
  control=ADDR   use the tor whose control port is at ADDR. Every role.
                 What you name is trusted with the keys of your services.
  socks=ADDR     use the SOCKS port of a tor at ADDR. Clients only: nothing
                 can be published through it.
  auto           what the environment names (TOR_CONTROL_IPC_PATH,
                 TOR_CONTROL_HOST and _PORT, TOR_SOCKS_IPC_PATH,
                 TOR_SOCKS_HOST and _PORT), else a verified system tor, else
                 a tor of our own.

ADDR is unix:/path, 127.0.0.1:PORT or [::1]:PORT.
`

// clip shortens what a user typed before it is quoted in an error.
func clip(s string) string {
	const most = 40
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
