package tor

import (
	"net"
	"net/netip"
	"os"
	"strconv"
)

// An environment is what this machine says about its Tor.
type environment struct {
	whonix bool // a Whonix workstation: Tor runs on another machine, the gateway
	tails  bool
	get    func(string) string // the process's environment variables
}

func readEnvironment() environment {
	return environment{
		whonix: exists("/usr/share/anon-ws-base-files/workstation"),
		tails:  exists("/etc/amnesia/version") || exists("/usr/share/tails"),
		get:    os.Getenv,
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// filtered reports whether a filter stands before Tor's control port. It
// writes refused commands, keys included, into its log.
func (e environment) filtered() bool { return e.whonix || e.tails }

// controls returns the control ports that the environment names, which are
// as good as named by the user.
func (e environment) controls() []endpoint {
	return e.named("TOR_CONTROL_IPC_PATH", "TOR_CONTROL_HOST", "TOR_CONTROL_PORT")
}

// socks returns the SOCKS ports that the environment names, and those that
// Whonix and Tails promise.
func (e environment) socks() []endpoint {
	named := e.named("TOR_SOCKS_IPC_PATH", "TOR_SOCKS_HOST", "TOR_SOCKS_PORT")
	if e.filtered() {
		named = append(named, loopbackEndpoint(9050))
	}
	return named
}

func (e environment) named(ipc, host, port string) []endpoint {
	var named []endpoint
	if path := e.get(ipc); path != "" {
		if at, err := unixEndpoint(path); err == nil {
			named = append(named, at)
		}
	}
	number, err := strconv.ParseUint(e.get(port), 10, 16)
	if err != nil || number == 0 {
		return named
	}
	addr := loopback4
	if h := e.get(host); h != "" && h != "localhost" {
		if addr, err = netip.ParseAddr(h); err != nil {
			return named
		}
	}
	ap := netip.AddrPortFrom(addr, uint16(number))
	if at, err := parseEndpoint(ap.String()); err == nil {
		named = append(named, at)
	} else if e.gateway(addr) {
		named = append(named, endpoint{network: "tcp", addr: ap.String()})
	}
	return named
}

// gateway reports whether addr may be the Whonix gateway: on a workstation,
// whose only network is the one that it shares with its gateway.
func (e environment) gateway(addr netip.Addr) bool {
	return e.whonix && addr.IsPrivate() && addr.Zone() == ""
}

// targetIP is the address on which services wait for a Tor that is not
// ours: loopback, except on a Whonix workstation, where Tor comes from the
// gateway.
func (e environment) targetIP() string {
	if !e.whonix {
		return "127.0.0.1"
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return "127.0.0.1"
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && n.IP.IsPrivate() {
			return n.IP.String()
		}
	}
	return "127.0.0.1"
}
