package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"lafs/node"
	"lafs/onion/local"
)

// cmdFake is `fake DIR`: it answers on the socket of a node directory out of
// memory.
func cmdFake(ts *testscript.TestScript, _ bool, args []string) {
	dir := node.Dir(ts.MkAbs(args[0]))
	ts.Check(os.MkdirAll(filepath.Dir(dir.Socket()), 0o700))
	l, err := local.ListenUnix(dir.Socket())
	ts.Check(err)
	g := newFakeGrid()
	ts.Value(gridKey{}).(*testGrid).fake = g
	srv := &http.Server{Handler: g}
	ended := make(chan struct{})
	go func() { defer close(ended); srv.Serve(l) }()
	ts.Defer(func() { srv.Close(); <-ended })
}

func fakeOf(ts *testscript.TestScript) *fakeGrid { return ts.Value(gridKey{}).(*testGrid).fake }

// cmdChanges is `changes FILES CHANGES`: so many files were put since the
// last time, and at most so many changes made to directories.
func cmdChanges(ts *testscript.TestScript, _ bool, args []string) {
	g := fakeOf(ts)
	g.mu.Lock()
	defer g.mu.Unlock()
	puts, _ := strconv.Atoi(args[0])
	most, _ := strconv.Atoi(args[1])
	if g.puts != puts || g.changes > most {
		ts.Fatalf("%d files were put and directories changed %d times, want %d and at most %d", g.puts, g.changes, puts, most)
	}
	g.puts, g.changes = 0, 0
}

// cmdPlant is `plant DIRCAPFILE NAME KIND`: it puts into a directory what no
// client of ours would: a file of a quoted name, one that is lost, something
// unknown, or the directory itself.
func cmdPlant(ts *testscript.TestScript, _ bool, args []string) {
	g := fakeOf(ts)
	g.mu.Lock()
	defer g.mu.Unlock()
	dir := g.objects[strings.TrimSpace(ts.ReadFile(args[0]))]
	name, err := strconv.Unquote(`"` + args[1] + `"`)
	ts.Check(err)
	switch args[2] {
	case "file":
		dir.children[name] = g.newFile([]byte("what was planted"), false, false)
	case "lost":
		cap := g.newFile([]byte(strings.Repeat("lost", 100)), false, false)
		g.lost[cap] = true
		dir.children[name] = cap
	case "unknown":
		cap := g.newFile([]byte("from the future"), true, false)
		g.objects[cap].unknown = true
		dir.children[name] = cap
	case "itself":
		dir.children[name] = dir.cap.Reveal()
	case "readonly":
		dir.children[name] = g.objects[dir.children[name]].cap.ReadOnly().Reveal()
	default:
		ts.Fatalf("plant %q?", args[2])
	}
}

// cmdHold is `hold N`: after N files more, none is put or read; `hold off`
// ends it.
func cmdHold(ts *testscript.TestScript, _ bool, args []string) {
	g := fakeOf(ts)
	g.mu.Lock()
	defer g.mu.Unlock()
	if args[0] == "off" {
		close(g.hold)
		g.hold = nil
		return
	}
	n, _ := strconv.Atoi(args[0])
	g.hold, g.free, g.held = make(chan struct{}), n, 0
}

// cmdHeld is `held`: it waits until a copy does nothing more but wait.
func cmdHeld(ts *testscript.TestScript, _ bool, _ []string) {
	g := fakeOf(ts)
	for range 400 {
		g.mu.Lock()
		full := g.held == atOnce
		g.mu.Unlock()
		if full {
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
	ts.Fatalf("not so many files came")
}

// cmdRSAKey is `rsakey FILE`: it makes a key as PEM, in the older form.
func cmdRSAKey(ts *testscript.TestScript, _ bool, args []string) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	ts.Check(err)
	text := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), text, 0o600))
}

// cmdFiles is `files DIR N BYTES`: it makes so many files that differ.
func cmdFiles(ts *testscript.TestScript, _ bool, args []string) {
	n, _ := strconv.Atoi(args[1])
	size, _ := strconv.Atoi(args[2])
	ts.Check(os.MkdirAll(ts.MkAbs(args[0]), 0o700))
	for i := range n {
		text := strings.Repeat(strconv.Itoa(i)+" of the files\n", size/10+1)[:size]
		ts.Check(os.WriteFile(filepath.Join(ts.MkAbs(args[0]), "file"+strconv.Itoa(i)), []byte(text), 0o600))
	}
}
