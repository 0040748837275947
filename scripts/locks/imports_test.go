package locks_test

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

// mayImport says which rooms each product room may import; the first entry
// that matches the importer decides. Below a room, "shares/*" among it, the
// order in sharesOrder keeps imports going down.
var mayImport = []struct {
	room    string
	imports []string
}{
	{"onion", nil},
	{"onion/tor", []string{"onion"}},
	{"onion/mux", []string{"onion"}},
	{"onion/local", []string{"onion"}},
	// Both carry the same headers and no others.
	{"onion/door", []string{"onion", "onion/mux"}},
	// Tub ids are tagged hashes, and only shares/hashes writes a tag.
	{"introducer", []string{"onion", "onion/mux", "shares/hashes"}},
	{"introducer/*", []string{"introducer", "onion", "onion/mux", "shares/hashes"}},
	{"shares/storage/gbs", []string{"shares/*", "onion", "onion/mux"}},
	{"shares/*", []string{"shares/*"}},
	{"node", []string{"*"}},
	{"node/*", []string{"*"}},
	{"cmd/*", []string{"*"}},
}

// sharesOrder: a room of shares imports only rooms before it.
var sharesOrder = []string{
	"shares/hashes", "shares/caps", "shares/erasure", "shares/immutable", "shares/mutable",
	"shares/placement", "shares/agree", "shares/storage", "shares/storage/tail", "shares/storage/gbs",
}

// owners of third-party modules. A module that is not here may not be
// imported by the product at all.
var owners = map[string][]string{
	"github.com/cretz/bine":              {"onion/tor"},
	"github.com/libp2p/go-yamux/v4":      {"onion/mux"},
	"github.com/klauspost/reedsolomon":   {"shares/erasure"},
	"go.etcd.io/bbolt":                   {"node/store"},
	"filippo.io/edwards25519":            {"onion"},
	"github.com/fxamacker/cbor/v2":       {"shares/storage/gbs", "introducer/*"},
	"gopkg.in/ini.v1":                    {"node"},
	"gopkg.in/yaml.v3":                   {"node"},
	"github.com/spf13/cobra":             {"cmd/lafs"},
	"github.com/spf13/pflag":             {"cmd/lafs"},
	"github.com/vbauerster/cupwriter":    {"cmd/lafs"},
	"github.com/vbauerster/mpb/v8":       {"cmd/lafs"},
	"github.com/prometheus/client_model": {"node"},
	"github.com/prometheus/common":       {"node"},
	"golang.org/x/term":                  {"cmd/lafs"},
	"golang.org/x/text":                  {"node/dirnode"},
	"golang.org/x/crypto":                {"*"},
	"golang.org/x/sync":                  {"*"},
	"golang.org/x/sys":                   {"onion/tor", "onion/local", "node", "node/*", "cmd/lafs"},
}

// importFault says why importer may not import path, "" if it may.
func importFault(importer, path string) string {
	target := room(path)
	if target == "" {
		return foreignFault(importer, path)
	}
	if within(target, testRooms) {
		return "a test room is not for the product"
	}
	if target == "onion/tor" && importer != "cmd/lafs" {
		return "only cmd/lafs builds the network on Tor"
	}
	for _, rule := range mayImport {
		if !within(importer, []string{rule.room}) {
			continue
		}
		if !within(target, rule.imports) {
			return fmt.Sprintf("%s may import %v of our rooms", importer, rule.imports)
		}
		from, to := slices.Index(sharesOrder, importer), slices.Index(sharesOrder, target)
		if from >= 0 && to >= from {
			return "rooms of shares import downwards only"
		}
		return ""
	}
	return "this room is in no import rule; add one"
}

func foreignFault(importer, path string) string {
	if !strings.Contains(strings.Split(path, "/")[0], ".") {
		return "" // The standard library: the symbol rules look at it.
	}
	for mod, rooms := range owners {
		if path != mod && !strings.HasPrefix(path, mod+"/") {
			continue
		}
		if !within(importer, rooms) {
			return fmt.Sprintf("%s belongs to %v", mod, rooms)
		}
		return ""
	}
	return "no room owns this module"
}

func importFaults(pkgs []*packages.Package) []string {
	var out []string
	for _, p := range pkgs {
		if !product(p) {
			continue
		}
		for path := range p.Imports {
			if why := importFault(room(p.PkgPath), path); why != "" {
				out = append(out, fmt.Sprintf("%s imports %s: %s", room(p.PkgPath), path, why))
			}
		}
	}
	slices.Sort(out)
	return out
}

func TestImports(t *testing.T) {
	for _, f := range importFaults(loadTree(t)) {
		t.Error(f)
	}
}

func TestPlantedImportsAreCaught(t *testing.T) {
	for _, tt := range []struct{ name, room, path string }{
		{"network on tor in node", "node", "lafs/onion/tor"},
		{"upwards among shares", "shares/hashes", "lafs/shares/caps"},
		{"node below shares", "shares/placement", "lafs/node/durable"},
		{"room of ours in onion", "onion", "lafs/shares/hashes"},
		{"test room in product", "node/grid", "lafs/onion/oniontest"},
		{"bine outside onion/tor", "node/grid", "github.com/cretz/bine/control"},
		{"yamux outside onion/mux", "introducer/client", "github.com/libp2p/go-yamux/v4"},
		{"module of nobody", "cmd/lafs", "golang.org/x/net/proxy"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			planted := &packages.Package{PkgPath: module + "/" + tt.room,
				Imports: map[string]*packages.Package{tt.path: {PkgPath: tt.path}}}
			if len(importFaults([]*packages.Package{planted})) != 1 {
				t.Errorf("%s imports %s, and nobody minds", tt.room, tt.path)
			}
		})
	}
}

// TestLinked looks at what is in the command, not at who asked for it.
func TestLinked(t *testing.T) {
	cmd := exec.Command("go", "list", "-deps", "./cmd/lafs")
	cmd.Dir = root(t)
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list -deps: %v", err)
	}
	deps := strings.Fields(string(out))
	if !slices.Contains(deps, "lafs/onion") {
		t.Fatal("go list names no room of ours: is the test looking at the right thing?")
	}
	for _, d := range deps {
		if within(room(d), testRooms) || slices.Contains(neverLinked, d) {
			t.Errorf("%s is linked into cmd/lafs", d)
		}
	}
}

// neverLinked are packages with a way to the network, to a debugger or to
// the test framework that no room needs.
var neverLinked = []string{
	"testing", "expvar", "net/http/pprof", "net/http/httptest", "net/http/cookiejar", "net/smtp",
	"net/rpc", "log/syslog", "plugin", "runtime/cgo",
	"golang.org/x/net/websocket", "golang.org/x/net/http2",
}
