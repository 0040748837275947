package locks_test

import (
	"fmt"
	"go/ast"
	"go/types"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

// A rule names symbols, as "package.Name" or "package.Type.Name", and the
// only product rooms that may use them.
type rule struct {
	kind    string
	symbols *regexp.Regexp
	rooms   []string
}

var rules = []rule{
	{"resolver", regexp.MustCompile(`^net\.(Lookup|Resolve(TCP|UDP|IP)Addr$|Resolver\b|DefaultResolver$)`), nil},
	// On Whonix a service must wait on the workstation's own address.
	{"own addresses", regexp.MustCompile(`^net\.Interface`), []string{"onion/tor"}},
	{"dial", regexp.MustCompile(`^net\.(Dial|FileConn$|FilePacketConn$)`), []string{"onion/tor", "onion/local"}},
	{"listen", regexp.MustCompile(`^net\.(Listen(TCP|UDP|IP|Unix|Unixgram|MulticastUDP|Packet|Config)?$|ListenConfig\.|FileListener$)`), []string{"onion/tor", "onion/local"}},
	{"http client", regexp.MustCompile(`^net/http\.(Client\b|Default(Client|Transport)$|Get$|Head$|Post$|PostForm$|Proxy)`), nil},
	{"http transport", regexp.MustCompile(`^net/http\.(Transport\b|NewFileTransport)`), []string{"onion/mux", "onion/door", "onion/local"}},
	{"http server", regexp.MustCompile(`^net/http\.(ListenAndServe|Serve$|ServeTLS$|DefaultServeMux$|Handle$|HandleFunc$|Server\.ListenAndServe)`), nil},
	{"tls", regexp.MustCompile(`^crypto/tls\.(Dial|Listen$|Dialer)`), nil},
	{"socket system call", regexp.MustCompile(`^(syscall|golang\.org/x/sys/unix)\.(Socket|Connect|Bind|Listen|Accept|Send|Recv|Raw|Syscall|Setsockopt|Io_uring)`), nil},
	{"program", regexp.MustCompile(`^(os/exec\.|os\.StartProcess$|syscall\.(ForkExec|StartProcess|Exec)$|golang\.org/x/sys/unix\.(Exec|Execveat|ForkExec))`), []string{"onion/tor"}},
	{"bine", regexp.MustCompile(`^github\.com/cretz/bine/`), []string{"onion/tor"}},
	{"proxy environment", regexp.MustCompile(`^golang\.org/x/net/(http/httpproxy|proxy)`), nil},
}

// symbolOf names what an identifier resolves to, "" for what is ours,
// local, or of no package.
func symbolOf(obj types.Object) string {
	if obj == nil || obj.Pkg() == nil {
		return ""
	}
	path := obj.Pkg().Path()
	if f, ok := obj.(*types.Func); ok {
		if recv := f.Signature().Recv(); recv != nil {
			t := recv.Type()
			if p, ok := t.(*types.Pointer); ok {
				t = p.Elem()
			}
			if n, ok := t.(*types.Named); ok {
				return path + "." + n.Obj().Name() + "." + f.Name()
			}
		}
	}
	// A field or a local variable has no package scope and cannot open
	// anything by itself: its type was named somewhere, and seen there.
	if v, ok := obj.(*types.Var); ok && (v.IsField() || v.Parent() != obj.Pkg().Scope()) {
		return ""
	}
	return path + "." + obj.Name()
}

// symbolFaults finds every use of a ruled symbol in a room that is not on
// its list, and every directive that would hide one.
func symbolFaults(pkgs []*packages.Package) []string {
	seen := map[string]bool{}
	for _, p := range pkgs {
		if !product(p) {
			continue
		}
		r := room(p.PkgPath)
		for id, obj := range p.TypesInfo.Uses {
			sym := symbolOf(obj)
			for _, rule := range rules {
				if rule.symbols.MatchString(sym) && !within(r, rule.rooms) {
					seen[fmt.Sprintf("%s: %s uses %s (%s)", rule.kind, r, sym, p.Fset.Position(id.Pos()))] = true
				}
			}
		}
		for _, f := range p.Syntax {
			for _, why := range directiveFaults(f) {
				seen[fmt.Sprintf("directive: %s: %s (%s)", r, why, p.Fset.Position(f.Pos()))] = true
			}
		}
		for _, other := range p.OtherFiles {
			if strings.HasSuffix(other, ".s") || strings.HasSuffix(other, ".c") || strings.HasSuffix(other, ".syso") {
				seen[fmt.Sprintf("directive: %s has %s, which this test cannot read", r, other)] = true
			}
		}
	}
	var out []string
	for s := range seen {
		out = append(out, s)
	}
	slices.Sort(out)
	return out
}

func directiveFaults(f *ast.File) []string {
	var out []string
	for _, im := range f.Imports {
		if im.Path.Value == `"C"` {
			out = append(out, `import "C"`)
		}
		if im.Name != nil && im.Name.Name == "." {
			out = append(out, "a dot import hides where a name comes from")
		}
	}
	for _, g := range f.Comments {
		for _, c := range g.List {
			if strings.HasPrefix(c.Text, "//go:linkname") || strings.HasPrefix(c.Text, "//go:cgo") {
				out = append(out, c.Text)
			}
		}
	}
	return out
}

func TestSymbols(t *testing.T) {
	for _, f := range symbolFaults(loadTree(t)) {
		t.Error(f)
	}
}

// TestPlantedSymbolsAreCaught plants one use of each kind in a product room
// that may do none of it.
func TestPlantedSymbolsAreCaught(t *testing.T) {
	plants := []struct{ kind, imports, use string }{
		{"resolver", `"net"`, `var _, _ = net.LookupHost("example.com")`},
		{"resolver", `"net"`, `var _ = net.Resolver{PreferGo: true}`},
		{"own addresses", `"net"`, `var _ = net.InterfaceAddrs`},
		{"dial", `"net"`, `var _ = (&net.Dialer{}).DialContext`},
		{"dial", `n "net"`, `var dial = n.Dial`},
		{"listen", `"net"`, `var _ net.ListenConfig`},
		{"listen", `"net"`, `var _ = net.ListenPacket`},
		{"http client", `"net/http"`, `var _ = http.Client{}`},
		{"http client", `"net/http"`, `var _ = http.DefaultTransport`},
		{"http client", `"net/http"`, `var _ = http.ProxyFromEnvironment`},
		{"http transport", `"net/http"`, `var _ = &http.Transport{}`},
		{"http server", `"net/http"`, `func serve(s *http.Server) { s.ListenAndServe() }`},
		{"tls", `"crypto/tls"`, `var _ = tls.Dial`},
		{"socket system call", `"syscall"`, `var _ = syscall.Socket`},
		{"program", `"os/exec"`, `var _ = exec.Command`},
		{"program", `"os"`, `var _ = os.StartProcess`},
		{"bine", `"github.com/cretz/bine/control"`, `var _ control.Conn`},
		{"directive", `_ "unsafe"`, "//go:linkname dial net.Dial\nfunc dial()"},
	}
	kinds := map[string]bool{"directive": true}
	for _, r := range rules {
		kinds[r.kind] = true
	}
	delete(kinds, "proxy environment") // no module of ours brings the package
	for _, tt := range plants {
		delete(kinds, tt.kind)
		t.Run(tt.kind, func(t *testing.T) {
			text := "package placement\nimport " + tt.imports + "\n" + tt.use + "\n"
			overlay := map[string]string{"shares/placement/planted.go": text}
			if tt.kind == "directive" {
				overlay["shares/placement/planted.s"] = ""
			}
			found := symbolFaults(load(t, overlay, "./shares/placement"))
			if !slices.ContainsFunc(found, func(f string) bool { return strings.HasPrefix(f, tt.kind+":") }) {
				t.Errorf("%q is not caught; found %q", tt.use, found)
			}
		})
	}
	for k := range kinds {
		t.Errorf("no plant for the rule about %s", k)
	}
}
