package tor

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// A guarded listener waits on a loopback port for a Tor that is not ours. Any
// user of this machine can connect there too, without Tor, and would learn
// which service it is that this machine has. So who is neither Tor, nor root,
// nor we, is cut off before a byte was said.
type guarded struct {
	net.Listener
	tor  []uint64 // users that may be Tor, beside those that always may
	log  *slog.Logger
	once sync.Once
}

// Accept implements net.Listener.
func (g *guarded) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if err != nil || g.welcome(c) {
			return c, err
		}
		c.Close()
		g.once.Do(func() {
			g.log.Warn("another user of this machine connected to the local port of an onion service, past Tor; that is refused")
		})
	}
}

// welcome reports whether c may be from Tor. What comes from another machine
// is: there, Tor has the only way to us (Whonix). So is everything where the
// system does not tell.
func (g *guarded) welcome(c net.Conn) bool {
	from, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil || !from.Addr().Unmap().IsLoopback() {
		return true
	}
	to, err := netip.ParseAddrPort(c.LocalAddr().String())
	if err != nil {
		return true
	}
	for _, name := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		if uid, ok := connector(string(text), from, to); ok {
			return slices.Contains(g.tor, uid) || trustedUser(uid)
		}
	}
	return true
}

// connector returns the user who connected from one place to another, from
// the text of Linux's /proc/net/tcp or tcp6 (proc(5)). One who has closed his
// end already is not told, or as root, and hears nothing any more.
func connector(table string, from, to netip.AddrPort) (uid uint64, ok bool) {
	place := func(ap netip.AddrPort, a netip.Addr) string { return kernelAddr(a) + fmt.Sprintf(":%04X", ap.Port()) }
	for _, form := range []func(netip.Addr) netip.Addr{netip.Addr.Unmap, func(a netip.Addr) netip.Addr { return netip.AddrFrom16(a.As16()) }} {
		want := ": " + place(from, form(from.Addr())) + " " + place(to, form(to.Addr())) + " "
		_, rest, found := strings.Cut(table, want)
		if !found {
			continue
		}
		// What follows: state, queues, timer, retransmits, user.
		if f := strings.Fields(rest); len(f) > 4 {
			uid, err := strconv.ParseUint(f[4], 10, 32)
			return uid, err == nil
		}
	}
	return 0, false
}

// holders returns the users who opened the control port or socket at at, as
// far as the system tells: of a Tor that was named, they may have any name.
func holders(at endpoint) []uint64 {
	if at.network == "unix" {
		info, err := os.Stat(at.addr)
		if err != nil {
			return nil
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); ok {
			return []uint64{uint64(stat.Uid)}
		}
		return nil
	}
	ap, err := netip.ParseAddrPort(at.addr)
	if err != nil {
		return nil
	}
	var users []uint64
	for _, name := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		if text, err := os.ReadFile(name); err == nil {
			users = append(users, listeners(string(text), ap)...)
		}
	}
	return users
}
