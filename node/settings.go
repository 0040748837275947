package node

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"lafs/onion/mux"
	"lafs/shares/mutable"
)

// A setting takes the value of one key of tahoe.cfg.
type setting func(r *rawConfig, value string) error

// anyKey stands for every key of a section.
const anyKey = "*"

// settings are the sections and keys of tahoe.cfg. Where a key has Tahoe-
// LAFS's name it has its meaning (TAHOE.md, "tahoe.cfg"). A key that would
// ask for another transport than onion services is refused; one whose part
// lafs does not have is a notice, or refused where leaving it out would do
// what the operator excluded.
var settings = map[string]map[string]setting{
	"node": {
		"nickname":                 text(func(r *rawConfig) *string { return &r.Nickname }),
		"web.port":                 webPort,
		"web.static":               unused("node", "web.static"),
		"tub.port":                 tubPort,
		"tub.location":             tubLocation,
		"tempdir":                  path(func(r *rawConfig) *string { return &r.TempDir }),
		"reveal-ip-address":        mustBe(false, "lafs has no mode that shows an IP address"),
		"timeout.keepalive":        unused("node", "timeout.keepalive"),
		"timeout.disconnect":       unused("node", "timeout.disconnect"),
		"log_gatherer.furl":        mustBeEmpty("a log gatherer is reached outside of Tor; lafs has none"),
		"web.reveal_storage_furls": mustBe(false, "storage addresses hold a secret and are not shown"),
	},
	"connections": {"tcp": connections},
	"tor": {
		"mode":                   text(func(r *rawConfig) *string { return &r.mode }),
		"torrc_fragment":         path(func(r *rawConfig) *string { return &r.Tor.Fragment }),
		"enabled":                mustBe(true, "there is no mode without Tor"),
		"socks.port":             endpoint(func(r *rawConfig) *string { return &r.socks }),
		"control.port":           endpoint(func(r *rawConfig) *string { return &r.control }),
		"launch":                 boolean(func(r *rawConfig) *bool { return &r.launch }),
		"tor.executable":         text(func(r *rawConfig) *string { return &r.Tor.Executable }),
		"onion":                  onionWanted,
		"onion.local_port":       portNumber(func(r *rawConfig) *uint16 { return &r.Tor.LocalPort }),
		"onion.external_port":    portNumber(func(r *rawConfig) *uint16 { return &r.OnionPort }),
		"onion.tahoe_port":       portNumber(func(r *rawConfig) *uint16 { return &r.TahoePort }),
		"onion.private_key_file": path(func(r *rawConfig) *string { return &r.keyFile }),
	},
	"i2p": {
		"enabled": mustBe(false, "lafs speaks over Tor onion services only"),
		anyKey:    refused("lafs speaks over Tor onion services only"),
	},
	"client": {
		"introducer.furl": introducerFURL,
		"helper.furl":     unused("client", "helper.furl"),
		"shares.needed":   count(func(r *rawConfig) *int { return &r.Needed }),
		"shares.happy":    count(func(r *rawConfig) *int { return &r.Happy }),
		"shares.total":    count(func(r *rawConfig) *int { return &r.Total }),
		"mutable.format":  mutableFormat,
		"lanes":           between(1, mux.MaxBulkLanes, func(r *rawConfig) *int { return &r.Lanes }),
		"lanes.total":     between(1, maxSessions, func(r *rawConfig) *int { return &r.Sessions }),
		"peers.preferred": unused("client", "peers.preferred"),
		"force_foolscap":  mustBe(false, "lafs does not speak Foolscap"),
	},
	"storage": {
		"enabled":                        boolean(func(r *rawConfig) *bool { return &r.Storage }),
		"anonymous":                      mustBe(true, "lafs storage revoke default shuts out who has the announced storage address"),
		"readonly":                       boolean(func(r *rawConfig) *bool { return &r.ReadOnly }),
		"reserved_space":                 reservedSpace,
		"storage_dir":                    path(func(r *rawConfig) *string { return &r.StorageDir }),
		"expire.enabled":                 boolean(func(r *rawConfig) *bool { return &r.expire.enabled }),
		"expire.mode":                    expireMode,
		"expire.override_lease_duration": leaseDuration,
		"expire.cutoff_date":             cutoffDate,
		"expire.immutable":               boolean(func(r *rawConfig) *bool { return &r.Expire.Immutable }),
		"expire.mutable":                 boolean(func(r *rawConfig) *bool { return &r.Expire.Mutable }),
		"grid_management":                unusedIfTrue("storage", "grid_management"),
	},
	"introducer": {"enabled": boolean(func(r *rawConfig) *bool { return &r.Introducer })},
	"helper":     {"enabled": unusedIfTrue("helper", "enabled")},
	"sftpd": {
		"enabled":           unusedIfTrue("sftpd", "enabled"),
		"port":              ignored,
		"host_pubkey_file":  ignored,
		"host_privkey_file": ignored,
		"accounts.file":     ignored,
	},
	"grid_managers":             {anyKey: refused("lafs does not check grid-manager certificates yet, and would store on servers that you exclude")},
	"grid_manager_certificates": {anyKey: unused("grid_manager_certificates", "*")},
}

func text(field func(*rawConfig) *string) setting {
	return func(r *rawConfig, v string) error {
		if strings.ContainsFunc(v, func(c rune) bool { return c < ' ' || c == 0x7f }) {
			return errors.New("control characters are not allowed")
		}
		*field(r) = v
		return nil
	}
}

func path(field func(*rawConfig) *string) setting {
	return func(r *rawConfig, v string) error {
		if v != "" {
			*field(r) = r.relative(v)
		}
		return nil
	}
}

// parseBool accepts what Python's configparser does.
func parseBool(v string) (bool, error) {
	switch strings.ToLower(v) {
	case "1", "yes", "true", "on":
		return true, nil
	case "0", "no", "false", "off":
		return false, nil
	}
	return false, errors.New("write true or false")
}

func boolean(field func(*rawConfig) *bool) setting {
	return func(r *rawConfig, v string) (err error) {
		*field(r), err = parseBool(v)
		return err
	}
}

func mustBe(want bool, why string) setting {
	return func(_ *rawConfig, v string) error {
		if got, err := parseBool(v); err != nil || got != want {
			return errors.Join(err, fmt.Errorf("it must be %v: %s", want, why))
		}
		return nil
	}
}

func mustBeEmpty(why string) setting {
	return func(_ *rawConfig, v string) error {
		if v != "" && v != "None" {
			return errors.New(why)
		}
		return nil
	}
}

func refused(why string) setting {
	return func(*rawConfig, string) error { return errors.New(why) }
}

func ignored(*rawConfig, string) error { return nil }

func unused(section, key string) setting {
	return func(r *rawConfig, v string) error {
		if v != "" && v != "None" {
			r.notice("[%s] %s has no effect in lafs", section, key)
		}
		return nil
	}
}

func unusedIfTrue(section, key string) setting {
	return func(r *rawConfig, v string) error {
		on, err := parseBool(v)
		if on {
			r.notice("[%s] %s has no effect in lafs yet", section, key)
		}
		return err
	}
}

func oneOf(words ...string) setting {
	return func(_ *rawConfig, v string) error {
		for _, w := range words {
			if strings.EqualFold(v, w) {
				return nil
			}
		}
		return fmt.Errorf("write one of %s", strings.Join(words, ", "))
	}
}

func mutableFormat(r *rawConfig, v string) error {
	r.MutableFormat = mutable.SDMF
	if strings.EqualFold(v, "mdmf") {
		r.MutableFormat = mutable.MDMF
	}
	return oneOf("sdmf", "mdmf")(r, v)
}

func count(field func(*rawConfig) *int) setting {
	return func(r *rawConfig, v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > 256 {
			return errors.New("write a number from 1 to 256")
		}
		*field(r) = n
		return nil
	}
}

// maxSessions is far above what Tor carries for one client.
const maxSessions = 1000

func between(least, most int, field func(*rawConfig) *int) setting {
	return func(r *rawConfig, v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n < least || n > most {
			return fmt.Errorf("write a number from %d to %d", least, most)
		}
		*field(r) = n
		return nil
	}
}

func onionWanted(r *rawConfig, v string) error {
	on, err := parseBool(v)
	r.noOnly = !on
	return err
}

func portNumber(field func(*rawConfig) *uint16) setting {
	return func(r *rawConfig, v string) error {
		n, err := strconv.ParseUint(v, 10, 16)
		if err != nil || n == 0 {
			return errors.New("write a port from 1 to 65535")
		}
		*field(r) = uint16(n)
		return nil
	}
}

func connections(_ *rawConfig, v string) error {
	switch strings.ToLower(v) {
	case "tor", "disabled":
		return nil
	}
	return errors.New("lafs reaches servers over Tor onion services only; write tor, or leave the setting out")
}

// introducerFURL is where old versions of Tahoe-LAFS kept the one introducer.
func introducerFURL(r *rawConfig, v string) error {
	if v != "" && v != "None" {
		r.addIntroducer(defaultPetname, v)
	}
	return nil
}

// endpoint reads the endpoints of Tahoe-LAFS: tcp:HOST:PORT, unix:PATH, and
// bare ones. Which of them may be used is onion/tor's to say.
func endpoint(field func(*rawConfig) *string) setting {
	return func(r *rawConfig, v string) error {
		v = strings.TrimPrefix(v, "tcp:")
		if _, err := strconv.ParseUint(v, 10, 16); err == nil {
			v = "127.0.0.1:" + v
		}
		*field(r) = v
		return nil
	}
}

// webPort reads where the web API listens for other programs: none, PORT,
// HOST:PORT or tcp:PORT:interface=HOST, where HOST is a loopback address. A
// port of 0 lets the system choose.
func webPort(r *rawConfig, v string) error {
	hostport, err := ParseWebPort(v)
	r.WebPort = hostport
	return err
}

// ParseWebPort turns the value of web.port into a loopback "host:port", or
// into "" for none.
func ParseWebPort(v string) (string, error) {
	if v == "" || v == "none" {
		return "", nil
	}
	spec := strings.TrimPrefix(v, "tcp:")
	portText, host := spec, "127.0.0.1"
	if p, option, ok := strings.Cut(spec, ":interface="); ok {
		// Tahoe-LAFS escapes the colons of an IPv6 address.
		portText, host = p, strings.ReplaceAll(option, `\:`, ":")
	} else if ap, err := netip.ParseAddrPort(spec); err == nil {
		portText, host = strconv.Itoa(int(ap.Port())), ap.Addr().String()
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return "", errors.New("write none, a port, or tcp:PORT:interface=127.0.0.1")
	}
	addr, err := netip.ParseAddr(host)
	if err != nil || (addr != netip.MustParseAddr("127.0.0.1") && addr != netip.IPv6Loopback()) {
		return "", errors.New("the web API listens on 127.0.0.1 or ::1 only: whoever reaches it can use the node")
	}
	return netip.AddrPortFrom(addr, uint16(port)).String(), nil
}

// tubPort accepts what a Tahoe-LAFS node without or behind an onion service
// has: lafs publishes its onion service by itself.
func tubPort(r *rawConfig, v string) error {
	switch {
	case v == "" || v == "disabled":
		return nil
	case strings.HasPrefix(v, "listen:tor"), strings.HasPrefix(v, "onion:"),
		strings.HasPrefix(v, "tcp:") && strings.Contains(v, "interface=127.0.0.1"):
		r.notice("[node] tub.port has no effect in lafs")
		return nil
	}
	return errors.New("lafs listens as a Tor onion service only; remove the setting or write disabled")
}

func tubLocation(r *rawConfig, v string) error {
	if v == "" || v == "disabled" {
		return nil
	}
	for hint := range strings.SplitSeq(v, ",") {
		host, ok := strings.CutPrefix(strings.TrimSpace(hint), "tor:")
		if !ok || !strings.Contains(host, ".onion:") {
			return errors.New("a storage server's location is its Tor onion service and nothing else; remove the setting")
		}
	}
	r.notice("[node] tub.location has no effect in lafs")
	return nil
}

// reservedSpace reads a size with the units of Tahoe-LAFS: K, M, G, T, P, E
// are powers of 1000, Ki and so on powers of 1024, a B may follow.
func reservedSpace(r *rawConfig, v string) error {
	n, err := ParseSize(v)
	if err == nil {
		r.ReservedSpace = n
	}
	return err
}

// ParseSize reads a size in bytes as tahoe.cfg writes it: "1G", "10 MiB".
func ParseSize(v string) (int64, error) {
	v = strings.ToUpper(strings.TrimSpace(v))
	digits := v[:len(v)-len(strings.TrimLeft(v, "0123456789"))]
	unit := strings.TrimSuffix(strings.TrimSpace(v[len(digits):]), "B")
	base := int64(1000)
	if u, ok := strings.CutSuffix(unit, "I"); ok && u != "" {
		unit, base = u, 1024
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	power := strings.Index("KMGTPE", unit)
	if err != nil || power < 0 || len(unit) > 1 {
		return 0, errors.New("write a size such as 1G, 500MB or 10GiB")
	}
	if unit == "" {
		return n, nil
	}
	for range power + 1 {
		if n > (1<<63-1)/base {
			return 0, errors.New("the size is too large")
		}
		n *= base
	}
	return n, nil
}
