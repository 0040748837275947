package node_test

import (
	"crypto/sha1"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"lafs/introducer"
	"lafs/node"
	"lafs/onion"
)

// checkModes wants 0700 for every directory and 0600 for every file.
func checkModes(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		st, err := e.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if e.IsDir() {
			want = 0o700
		}
		if st.Mode().Perm() != want {
			t.Errorf("%s has mode %o, want %o", path, st.Mode().Perm(), want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func newFURL(t *testing.T) *introducer.FURL {
	t.Helper()
	k, err := onion.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	a, err := k.Addr(3457)
	if err != nil {
		t.Fatal(err)
	}
	return introducer.NewFURL(a, introducer.GenerateSecret())
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

func TestCreate(t *testing.T) {
	furl := newFURL(t)
	for _, tt := range []struct {
		name  string
		opts  node.CreateOptions
		role  string
		files []string
		none  []string
	}{
		{"client", node.CreateOptions{Introducers: []string{furl.Reveal()}}, "client",
			[]string{"private/secret", "private/convergence", "private/introducers.yaml"},
			[]string{"private/tor_onion.privkey", "private/storage.furl", "private/introducer.furl"}},
		{"storage server", node.CreateOptions{Storage: true}, "client",
			[]string{"private/secret", "private/tor_onion.privkey", "private/storage.furl"},
			[]string{"private/introducer.furl", "private/introducers.yaml"}},
		{"introducer", node.CreateOptions{Introducer: true}, "introducer",
			[]string{"private/tor_onion.privkey", "private/introducer.furl", "private/subscriber.furl"},
			[]string{"private/secret", "private/convergence", "private/storage.furl"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "node")
			c, err := node.Create(dir, tt.opts)
			if err != nil {
				t.Fatal(err)
			}
			if c.Role() != tt.role || c.Storage != tt.opts.Storage || len(c.Refused)+len(c.Notices) != 0 {
				t.Errorf("Create: got role %s, storage %v, refused %v, notices %v", c.Role(), c.Storage, c.Refused, c.Notices)
			}
			for _, f := range append(tt.files, "tahoe.cfg", "lafs.format", "node.pubkey", "my_nodeid", "permutation-seed", "private/node.privkey") {
				if _, err := os.Stat(filepath.Join(dir, f)); err != nil {
					t.Errorf("%s was not made", f)
				}
			}
			for _, f := range tt.none {
				if _, err := os.Stat(filepath.Join(dir, f)); err == nil {
					t.Errorf("%s was made", f)
				}
			}
			checkModes(t, dir)
			if !strings.HasPrefix(read(t, dir, "private/node.privkey"), "priv-v0-") || len(read(t, dir, "node.pubkey")) != len("pub-v0-")+52 {
				t.Error("the node key has another shape than Tahoe-LAFS's")
			}
			if _, err := node.Create(dir, tt.opts); err == nil || !strings.Contains(err.Error(), "there is a node in") {
				t.Errorf("Create again: got %v, want a refusal", err)
			}
			for range 2 {
				if got := fmt.Sprintf("%v %+v", c, c); strings.Contains(got, furl.Reveal()) {
					t.Error("a Config prints a secret")
				}
				before := snapshot(t, dir)
				if c, err = node.Load(dir); err != nil {
					t.Fatal(err)
				}
				if after := snapshot(t, dir); after != before {
					t.Error("Load changed the directory")
				}
			}
		})
	}
}

func snapshot(t *testing.T, dir string) [sha1.Size]byte {
	var all strings.Builder
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			fmt.Fprintln(&all, path, read(t, path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sha1.Sum([]byte(all.String()))
}

func TestCreateRefuses(t *testing.T) {
	foolscap := "pb://" + strings.Repeat("a", 32) + "@tcp:192.0.2.1:3458/introducer"
	for _, tt := range []struct {
		name string
		opts node.CreateOptions
		want string
	}{
		{"foolscap", node.CreateOptions{Introducers: []string{foolscap}}, "Foolscap"},
		{"no furl", node.CreateOptions{Introducers: []string{"hello"}}, "not an introducer's FURL"},
		{"coding", node.CreateOptions{Needed: 5, Total: 4, Happy: 1}, "shares.needed = 5"},
		{"happy", node.CreateOptions{Total: 4}, "shares.happy = 7"},
		{"web", node.CreateOptions{WebPort: "0.0.0.0:80"}, "127.0.0.1 or ::1 only"},
		{"injection", node.CreateOptions{Nickname: "a\n[tor]\nenabled = false"}, "control characters"},
		{"server on socks", node.CreateOptions{Storage: true, TorMode: "socks=127.0.0.1:9050"}, "publish nothing"},
		{"introducer with storage", node.CreateOptions{Introducer: true, Storage: true}, "a directory of its own"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "node")
			_, err := node.Create(dir, tt.opts)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Create: got %v, want an error with %q", err, tt.want)
			}
			if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
				t.Error("Create refused and made the directory all the same")
			}
		})
	}
}

func TestIntroducerFURLs(t *testing.T) {
	dir := t.TempDir()
	c, err := node.Create(dir, node.CreateOptions{Introducer: true})
	if err != nil {
		t.Fatal(err)
	}
	all, err := introducer.ParseFURL(read(t, c.Dir.IntroducerFURLFile()))
	if err != nil || all.PublishSecret() == nil {
		t.Errorf("introducer.furl: got %v, publish %v", err, all.PublishSecret())
	}
	reader, err := introducer.ParseFURL(read(t, c.Dir.SubscriberFURLFile()))
	if err != nil || reader.PublishSecret() != nil {
		t.Errorf("subscriber.furl: got %v, want one that cannot publish", err)
	}
	if all.Address() != reader.Address() {
		t.Error("the two FURLs name two places")
	}
	// Another onion key is another place, and the same rights.
	k, _ := onion.GenerateKey()
	if err := os.WriteFile(filepath.Join(dir, "private/tor_onion.privkey"), []byte(k.Marshal()), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := node.Load(dir); err != nil {
		t.Fatal(err)
	}
	moved, err := introducer.ParseFURL(read(t, c.Dir.IntroducerFURLFile()))
	if err != nil {
		t.Fatal(err)
	}
	if moved.Address() == all.Address() || moved.PublishSecret().Reveal() != all.PublishSecret().Reveal() {
		t.Error("after a move: want another address and the same secret")
	}
}

// A wide directory or file of keys is closed on Load, not only made closed.
func TestLoadClosesModes(t *testing.T) {
	dir := t.TempDir()
	if _, err := node.Create(dir, node.CreateOptions{Storage: true}); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"", "private"} {
		if err := os.Chmod(filepath.Join(dir, p), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range []string{"private/node.privkey", "private/secret", "private/storage.furl", "private/tor_onion.privkey"} {
		if err := os.Chmod(filepath.Join(dir, p), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := node.Load(dir); err != nil {
		t.Fatal(err)
	}
	checkModes(t, dir)
}

func TestLoadDamaged(t *testing.T) {
	for _, tt := range []struct{ name, file, text, want string }{
		{"node key", "private/node.privkey", "priv-v0-abc", "node.privkey is damaged"},
		{"lease secret", "private/secret", "aaaa", "private/secret is damaged"},
		{"convergence", "private/convergence", "no base32!", "should hold base32"},
		{"onion key", "private/tor_onion.privkey", "ED25519-V3:AAAA", "not a Tor v3 onion service key"},
		{"storage address", "private/storage.furl", "swissnum", "storage.furl is damaged"},
		{"seed", "permutation-seed", "!", "permutation-seed is damaged"},
		{"newer format", "lafs.format", "2", "use a newer lafs"},
		{"introducers", "private/introducers.yaml", "introducers: [secretsecret]", "introducers.yaml: it is not the YAML"},
		{"petname", "private/introducers.yaml", "introducers: {../../x: {furl: y}}", "write letters, digits"},
		{"servers", "private/servers.yaml", "storage: 5", "servers.yaml: it is not the YAML"},
		{"huge", "private/secret", strings.Repeat("a", 1<<20), "more than the"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if _, err := node.Create(dir, node.CreateOptions{Storage: true}); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, tt.file), []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := node.Load(dir)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Load: got %v, want an error with %q", err, tt.want)
			}
			if len(tt.text) > 10 && err != nil && strings.Contains(err.Error(), "secretsecret") {
				t.Error("the error quotes the file")
			}
		})
	}
}

// Introducers and servers that lafs cannot use do not keep a node of
// Tahoe-LAFS from opening.
func TestLoadPeers(t *testing.T) {
	dir := t.TempDir()
	ours := newFURL(t)
	if _, err := node.Create(dir, node.CreateOptions{Introducers: []string{ours.Reveal()}}); err != nil {
		t.Fatal(err)
	}
	yaml := "introducers:\n  ours:\n    furl: \"" + ours.Reveal() + "\"\n  old:\n    furl: pb://" +
		strings.Repeat("a", 32) + "@tcp:192.0.2.1:3458/introducer\n"
	if err := os.WriteFile(filepath.Join(dir, "private/introducers.yaml"), []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	servers := "storage:\n  v0-" + strings.Repeat("b", 52) + ":\n    ann:\n      nickname: x\n      anonymous-storage-FURL: pb://x@tcp:192.0.2.1:1/y\n"
	if err := os.WriteFile(filepath.Join(dir, "private/servers.yaml"), []byte(servers), 0o644); err != nil {
		t.Fatal(err)
	}
	c, err := node.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Introducers) != 1 || c.Introducers["ours"] == nil {
		t.Errorf("Introducers: got %d, want ours", len(c.Introducers))
	}
	if len(c.Refused) != 2 || c.Refused[0].Name != "introducer old" || !strings.Contains(c.Refused[0].Reason, "Foolscap") ||
		!strings.HasPrefix(c.Refused[1].Name, "server bbbbbbbb…") {
		t.Errorf("Refused: got %v", c.Refused)
	}
	checkModes(t, dir)
}

func TestLoadRefusesTahoeStorage(t *testing.T) {
	dir := t.TempDir()
	if _, err := node.Create(dir, node.CreateOptions{Storage: true}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "private/node.pem"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := node.Load(dir); err == nil || !strings.Contains(err.Error(), "[storage] enabled = false") {
		t.Errorf("Load: got %v, want a refusal that says what to set", err)
	}
}

func TestHold(t *testing.T) {
	dir := node.Dir(t.TempDir())
	h, err := node.Hold(dir)
	if err != nil {
		t.Fatal(err)
	}
	line := strings.Fields(read(t, string(dir), "running.process"))
	if len(line) != 2 || line[0] != fmt.Sprint(os.Getpid()) || !strings.Contains(line[1], ".") || len(line[1]) < 10 {
		t.Errorf("running.process: got %q, want PID CREATETIME", line)
	}
	if _, err := node.Hold(dir); !errors.Is(err, node.ErrRunning) || !strings.Contains(err.Error(), line[0]) {
		t.Errorf("Hold of a held directory: got %v, want ErrRunning with the process", err)
	}
	if err := h.Release(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(string(dir), "running.process")); err == nil {
		t.Error("Release left running.process")
	}
	if h, err = node.Hold(dir); err != nil {
		t.Fatalf("Hold after Release: %v", err)
	}
	h.Release()
}

// A node that is killed and started again at once waits for the dying one.
func TestHoldWaitsForTheDying(t *testing.T) {
	dir := node.Dir(t.TempDir())
	h, err := node.Hold(dir)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		next, err := node.Hold(dir)
		if err == nil {
			next.Release()
		}
		done <- err
	}()
	h.Release()
	if err := <-done; err != nil {
		t.Errorf("Hold while another ends: %v", err)
	}

	// One that has ended, and that nobody has asked how, is no process.
	cmd := exec.Command("true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	for node.CreateTime(cmd.Process.Pid) != "0.0" {
		runtime.Gosched()
	}
}

// A line left by a process that is gone, or whose number another process has
// now, does not keep a node from starting; that of a live one does.
func TestHoldAfterCrash(t *testing.T) {
	dir := node.Dir(t.TempDir())
	h, err := node.Hold(dir)
	if err != nil {
		t.Fatal(err)
	}
	own := strings.Fields(read(t, string(dir), "running.process"))
	h.Release()
	for _, line := range []string{own[0] + " 1.00", "999999999 " + own[1], "999999999 0.0", "garbage", "", "-1 0.0"} {
		if err := os.WriteFile(filepath.Join(string(dir), "running.process"), []byte(line), 0o600); err != nil {
			t.Fatal(err)
		}
		h, err := node.Hold(dir)
		if err != nil {
			t.Errorf("Hold after %q: %v", line, err)
			continue
		}
		h.Release()
	}
	parent := node.Dir(t.TempDir())
	line := fmt.Sprintf("%d %s", os.Getppid(), node.CreateTime(os.Getppid()))
	if err := os.WriteFile(filepath.Join(string(parent), "running.process"), []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := node.Hold(parent); !errors.Is(err, node.ErrRunning) {
		t.Errorf("Hold of a live node's directory: got %v, want ErrRunning", err)
	}
}

// A Create that failed at once, as on a full disk, can be done again; what it
// did not leave is not touched.
func TestCreateAgain(t *testing.T) {
	for _, tt := range []struct {
		name  string
		files []string
		again bool
	}{
		{"directories", []string{"private/"}, true},
		{"and the format", []string{"private/", "lafs.format"}, true},
		{"somebody's introducers", []string{"private/introducers.yaml", "lafs.format"}, false},
		{"a key", []string{"private/secret"}, false},
		{"aliases", []string{"private/aliases", "lafs.format"}, false},
		{"another file", []string{"private/", "notes"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "node")
			for _, f := range tt.files {
				if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(f)), 0o700); err != nil {
					t.Fatal(err)
				}
				if strings.HasSuffix(f, "/") {
					continue
				}
				if err := os.WriteFile(filepath.Join(dir, f), []byte("1\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			_, err := node.Create(dir, node.CreateOptions{})
			if tt.again && err != nil {
				t.Errorf("Create: %v", err)
			}
			if !tt.again && (err == nil || !strings.Contains(err.Error(), "is not empty")) {
				t.Errorf("Create: got %v, want a refusal", err)
			}
		})
	}
}
