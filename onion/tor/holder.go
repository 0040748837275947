package tor

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// checkHolder refuses a control port, or socket, that somebody else than
// root, Tor or we ourselves opened. The cookie alone proves too little:
// whoever passes on what we and the real Tor say to each other proves that
// he knows it, and then gets our onion key. at is connected already.
func checkHolder(at endpoint) error {
	if at.network == "unix" {
		if !trustedSocket(at) {
			return fmt.Errorf("another user made that socket: %w", errUnverified)
		}
		return nil
	}
	ap, err := netip.ParseAddrPort(at.addr)
	if err != nil {
		return err
	}
	var tables []string
	for _, name := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("find out who opened Tor's control port: %w", errors.Unwrap(err))
		}
		tables = append(tables, string(text))
	}
	if tables[0] == "" {
		return nil // Not Linux: nobody can be asked.
	}
	users := listeners(strings.Join(tables, "\n"), ap)
	if len(users) == 0 {
		return fmt.Errorf("nobody holds that port any more: %w", errUnverified)
	}
	for _, uid := range users {
		if !trustedUser(uid) {
			return fmt.Errorf("another user opened that port: %w", errUnverified)
		}
	}
	return nil
}

// listeners returns the users who listen where a connection to ap may
// arrive, from the text of Linux's /proc/net/tcp and tcp6 (proc(5)).
func listeners(table string, ap netip.AddrPort) []uint64 {
	const listening = "0A"
	places := map[string]bool{}
	mapped := netip.AddrFrom16(ap.Addr().As16())
	for _, a := range []netip.Addr{ap.Addr(), mapped, netip.IPv4Unspecified(), netip.IPv6Unspecified()} {
		places[kernelAddr(a)+fmt.Sprintf(":%04X", ap.Port())] = true
	}
	var users []uint64
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if len(f) < 8 || f[3] != listening || !places[f[1]] {
			continue
		}
		if uid, err := strconv.ParseUint(f[7], 10, 32); err == nil {
			users = append(users, uid)
		}
	}
	return users
}

// kernelAddr writes an address as the kernel's tables do: words of 32 bits
// in the machine's own order.
func kernelAddr(a netip.Addr) string {
	b := a.AsSlice()
	for i := 0; i < len(b); i += 4 {
		binary.NativeEndian.PutUint32(b[i:], binary.BigEndian.Uint32(b[i:]))
	}
	return strings.ToUpper(hex.EncodeToString(b))
}
