package node_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lafs/node"
)

// loadText loads a node directory that holds nothing but this tahoe.cfg.
func loadText(t *testing.T, text string) (*node.Config, error) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "tahoe.cfg"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return node.Load(dir)
}

func TestLoadRefusesSettings(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"unknown key", "[client]\nshares.hapy = 3\n", "[client] shares.hapy: there is no such setting"},
		{"unknown section", "[clinet]\nx = 1\n", "[clinet]: there is no such section"},
		{"unknown empty section", "[clinet]\n", "[clinet]: there is no such section"},
		{"no section", "nickname = x\n", `"nickname" stands before the first [section]`},
		{"twice", "[node]\nnickname = a\nnickname = a\n", "[node] nickname: given 2 times"},
		{"no delimiter", "[node]\nnickname\n", "tahoe.cfg:"},
		{"tcp", "[connections]\ntcp = tcp\n", "[connections] tcp: lafs reaches servers over Tor onion services only"},
		{"reveal", "[node]\nreveal-IP-address = true\n", "[node] reveal-ip-address: it must be false"},
		{"no tor", "[tor]\nenabled = false\n", "[tor] enabled: it must be true: there is no mode without Tor"},
		{"i2p", "[i2p]\nenabled = true\n", "[i2p] enabled: it must be false"},
		{"i2p port", "[i2p]\nsam.port = tcp:localhost:7656\n", "[i2p] sam.port: lafs speaks"},
		{"tcp location", "[node]\ntub.location = tcp:example.com:3457\n", "[node] tub.location: a storage server's location is its Tor onion service"},
		{"mixed location", "[node]\ntub.location = tor:a.onion:1,tcp:example.com:3457\n", "[node] tub.location"},
		{"auto location", "[node]\ntub.location = AUTO\n", "[node] tub.location"},
		{"tcp port", "[node]\ntub.port = tcp:3457\n", "[node] tub.port: lafs listens as a Tor onion service only"},
		{"web everywhere", "[node]\nweb.port = tcp:3456:interface=0.0.0.0\n", "[node] web.port: the web API listens on 127.0.0.1 or ::1 only"},
		{"web by name", "[node]\nweb.port = tcp:3456:interface=example.com\n", "[node] web.port"},
		{"log gatherer", "[node]\nlog_gatherer.furl = pb://x@tcp:192.0.2.1:1/y\n", "[node] log_gatherer.furl"},
		{"foolscap", "[client]\nforce_foolscap = true\n", "[client] force_foolscap: it must be false: lafs does not speak Foolscap"},
		{"no onion for a server", "[tor]\nonion = false\n[storage]\nenabled = true\n", "[tor] onion: a storage server"},
		{"server on socks", "[tor]\nmode = socks=127.0.0.1:9050\n[storage]\nenabled = true\n", "[tor] mode: a SOCKS port can reach others but publish nothing"},
		{"both roles", "[introducer]\nenabled = true\n[storage]\nenabled = true\n", "[storage] enabled: an introducer is not a storage server too"},
		{"coding", "[client]\nshares.needed = 4\nshares.total = 3\n", "shares.needed = 4 and shares.total = 3"},
		{"happy", "[client]\nshares.happy = 11\n", "shares.happy = 11"},
		{"unhappy", "[client]\nshares.happy = 0\n", "shares.happy"},
		{"no lanes", "[client]\nlanes = 0\n", "[client] lanes: write a number from 1 to 8"},
		{"lanes of all", "[client]\nlanes.total = many\n", "[client] lanes.total: write a number from 1 to 1000"},
		{"number", "[client]\nshares.needed = three\n", "[client] shares.needed: write a number from 1 to 256"},
		{"too many", "[client]\nshares.total = 257\n", "[client] shares.total: write a number"},
		{"size", "[storage]\nreserved_space = lots\n", "[storage] reserved_space: write a size"},
		{"size overflow", "[storage]\nreserved_space = 99999999999E\n", "[storage] reserved_space: the size is too large"},
		{"bool", "[storage]\nenabled = maybe\n", "[storage] enabled: write true or false"},
		{"accounts", "[storage]\nanonymous = false\n", "[storage] anonymous: it must be true"},
		{"grid managers", "[grid_managers]\ngm = pub-v0-aa\n", "[grid_managers] gm: lafs does not check grid-manager certificates yet"},
		{"control character", "[node]\nnickname = a\x07b\n", "[node] nickname: control characters"},
		{"onion port", "[tor]\nonion.external_port = 0\n", "[tor] onion.external_port: write a port"},
		{"mutable format", "[client]\nmutable.format = chk\n", "[client] mutable.format: write one of sdmf, mdmf"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := loadText(t, tt.text)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "tahoe.cfg") {
				t.Errorf("Load: got %v, want an error with %q that names tahoe.cfg", err, tt.want)
			}
		})
	}
}

// A configuration that Tahoe-LAFS's create-node wrote for a Tor-only client.
const tahoesOwn = `# -*- mode: conf; coding: utf-8 -*-

# See the tahoe.cfg docs
[node]
nickname = My "node" # 1
reveal-IP-address = false
web.port = tcp:3456:interface=127.0.0.1
web.static = public_html
tub.port = disabled
tub.location = disabled

[connections]
tcp = tor

[tor]
control.port = unix:/run/tor/control
onion.local_port = 41234

[client]
helper.furl =
shares.needed = 2
shares.happy=3
shares.total : 5
lanes = 2
lanes.total = 30

[storage]
enabled = false

[helper]
enabled = false
`

func TestLoadTahoesOwn(t *testing.T) {
	c, err := loadText(t, tahoesOwn)
	if err != nil {
		t.Fatal(err)
	}
	if c.Nickname != `My "node" # 1` {
		t.Errorf("Nickname: got %q", c.Nickname)
	}
	if c.Needed != 2 || c.Happy != 3 || c.Total != 5 {
		t.Errorf("coding: got %d/%d/%d, want 2/3/5", c.Needed, c.Happy, c.Total)
	}
	if c.Lanes != 2 || c.Sessions != 30 {
		t.Errorf("lanes: got %d and %d, want 2 and 30", c.Lanes, c.Sessions)
	}
	if !c.Client || c.Storage || c.Introducer || c.Role() != "client" {
		t.Errorf("roles: got client %v, storage %v, introducer %v", c.Client, c.Storage, c.Introducer)
	}
	if c.Tor.Mode != "control=unix:/run/tor/control" || c.Tor.LocalPort != 41234 {
		t.Errorf("Tor: got %+v", c.Tor)
	}
	if c.WebPort != "127.0.0.1:3456" {
		t.Errorf("WebPort: got %q", c.WebPort)
	}
	if len(c.Notices) != 1 || !strings.Contains(c.Notices[0], "web.static") {
		t.Errorf("Notices: got %q, want one about web.static", c.Notices)
	}
}

func TestLoadTorMode(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"default", "", "launch"},
		{"launch", "[tor]\nlaunch = true\n", "launch"},
		{"mode wins", "[tor]\nlaunch = true\nmode = auto\n", "auto"},
		{"control", "[tor]\ncontrol.port = tcp:127.0.0.1:9051\n", "control=127.0.0.1:9051"},
		{"socks", "[tor]\nsocks.port = tcp:127.0.0.1:9050\n", "socks=127.0.0.1:9050"},
		{"bare port", "[tor]\nsocks.port = 9050\n", "socks=127.0.0.1:9050"},
		{"control wins", "[tor]\nsocks.port = 9050\ncontrol.port = 9051\n", "control=127.0.0.1:9051"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := loadText(t, tt.text)
			if err != nil {
				t.Fatal(err)
			}
			if c.Tor.Mode != tt.want {
				t.Errorf("Mode: got %q, want %q", c.Tor.Mode, tt.want)
			}
		})
	}
}

func TestLoadNoNode(t *testing.T) {
	if _, err := node.Load(t.TempDir()); !errors.Is(err, node.ErrNoNode) {
		t.Errorf("Load of an empty directory: got %v, want ErrNoNode", err)
	}
	if _, err := node.Load(filepath.Join(t.TempDir(), "absent")); !errors.Is(err, node.ErrNoNode) {
		t.Errorf("Load of nothing: got %v, want ErrNoNode", err)
	}
}

func TestParseSize(t *testing.T) {
	for in, want := range map[string]int64{
		"0": 0, "17": 17, "1K": 1000, "1kB": 1000, "1KiB": 1024, "10 MB": 10_000_000,
		"1G": 1_000_000_000, "2GiB": 2 << 30, "1Ti": 1 << 40, "5b": 5, "1E": 1_000_000_000_000_000_000,
	} {
		if got, err := node.ParseSize(in); err != nil || got != want {
			t.Errorf("ParseSize(%q): got %d, %v, want %d", in, got, err, want)
		}
	}
	for _, in := range []string{"", "G", "1X", "-1", "1.5G", "1KMB", "i", "1i", "10E0", "9223372036854775808"} {
		if got, err := node.ParseSize(in); err == nil {
			t.Errorf("ParseSize(%q): got %d, want an error", in, got)
		}
	}
}

func TestParseWebPort(t *testing.T) {
	for in, want := range map[string]string{
		"none": "", "": "", "3456": "127.0.0.1:3456", "tcp:0:interface=127.0.0.1": "127.0.0.1:0",
		"tcp:3456": "127.0.0.1:3456", "127.0.0.1:80": "127.0.0.1:80", "[::1]:80": "[::1]:80",
		`tcp:80:interface=\:\:1`: "[::1]:80", "tcp:80:interface=localhost": "127.0.0.1:80",
	} {
		if got, err := node.ParseWebPort(in); err != nil || got != want {
			t.Errorf("ParseWebPort(%q): got %q, %v, want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"tcp:80:interface=0.0.0.0", "0.0.0.0:80", "example.com:80", "65536", "ssl:443", "tcp:80:interface=127.0.0.2", "[::]:80"} {
		if got, err := node.ParseWebPort(in); err == nil {
			t.Errorf("ParseWebPort(%q): got %q, want an error", in, got)
		}
	}
}

// FuzzConfig: whatever stands in tahoe.cfg, it is read or refused with an
// error that names the file.
func FuzzConfig(f *testing.F) {
	f.Add(tahoesOwn)
	f.Add("[tor]\nmode = socks=127.0.0.1:9050\n")
	f.Add("[node\n")
	f.Add("[node]\nnickname = \"\"\"a\nb\"\"\"\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := node.ParseConfig("/nowhere", []byte(text))
		if err != nil {
			if !strings.Contains(err.Error(), "tahoe.cfg") {
				t.Errorf("the error does not name the file: %v", err)
			}
			return
		}
		if c.Needed < 1 || c.Needed > c.Total || c.Happy > c.Total || c.Total > 256 || c.OnionPort == 0 || c.Tor.Mode == "" {
			t.Errorf("accepted %+v", c)
		}
	})
}
