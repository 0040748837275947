package locks_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/tools/go/packages"
)

const module = "lafs"

// root is the repository's top directory.
func root(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the test's directory")
		}
		dir = filepath.Dir(dir)
	}
}

// load type-checks packages without their tests. overlay replaces or adds
// files, named relative to the repository.
func load(t *testing.T, overlay map[string]string, patterns ...string) []*packages.Package {
	t.Helper()
	top := root(t)
	cfg := &packages.Config{
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedImports | packages.NeedSyntax |
			packages.NeedTypes | packages.NeedTypesInfo,
		Dir: top,
		// The product is built without cgo, and so is what we look at.
		Env:     append(os.Environ(), "CGO_ENABLED=0"),
		Overlay: map[string][]byte{},
	}
	for name, text := range overlay {
		cfg.Overlay[filepath.Join(top, name)] = []byte(text)
	}
	pkgs, err := packages.Load(cfg, patterns...)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pkgs {
		for _, e := range p.Errors {
			t.Fatalf("%s: %v", p.PkgPath, e)
		}
	}
	return pkgs
}

// tree is every package of the module, loaded once.
var tree struct {
	once sync.Once
	pkgs []*packages.Package
}

func loadTree(t *testing.T) []*packages.Package {
	tree.once.Do(func() { tree.pkgs = load(t, nil, "./...") })
	if len(tree.pkgs) == 0 {
		t.Fatal("the tree was not loaded")
	}
	return tree.pkgs
}

// room returns a package's path within the module, "" for foreign ones.
func room(path string) string {
	r, ok := strings.CutPrefix(path, module+"/")
	if !ok {
		return ""
	}
	return r
}

// within reports whether room r is one of list, where "x/*" stands for
// everything below x and "x" for x alone.
func within(r string, list []string) bool {
	for _, l := range list {
		if l == r || l == "*" {
			return true
		}
		if base, ok := strings.CutSuffix(l, "/*"); ok && strings.HasPrefix(r, base+"/") {
			return true
		}
	}
	return false
}

// testRooms are never linked into the product, and may do what they like.
var testRooms = []string{"onion/oniontest", "onion/tornet", "onion/tornet/*", "shares/storage/storagetest", "node/nodetest", "cmd/tornet", "scripts/*"}

func product(p *packages.Package) bool {
	r := room(p.PkgPath)
	return r != "" && !within(r, testRooms)
}
