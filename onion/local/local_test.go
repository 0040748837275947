package local_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"lafs/onion/local"
)

// privateDir is a directory of mode 0700 with a short path.
func privateDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "lafs")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func listen(t *testing.T, path string) net.Listener {
	t.Helper()
	l, err := local.ListenUnix(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestListenUnixIsPrivate(t *testing.T) {
	old := syscall.Umask(0)
	t.Cleanup(func() { syscall.Umask(old) })
	path := filepath.Join(privateDir(t), "s")
	l := listen(t, path)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o600 {
		t.Errorf("mode: got %o, want 600", got)
	}
	l.Close()
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the socket stays after Close: %v", err)
	}
}

func TestListenUnixRemovesStale(t *testing.T) {
	path := filepath.Join(privateDir(t), "s")
	l := listen(t, path)
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Fatalf("no stale socket to test with: %v", err)
	}
	listen(t, path)
}

func TestListenUnixRefuses(t *testing.T) {
	for _, tt := range []struct {
		name    string
		prepare func(t *testing.T, dir, path string)
		want    error
	}{
		{"somebody answers", func(t *testing.T, _, path string) { listen(t, path) }, local.ErrInUse},
		{"a file", func(t *testing.T, _, path string) { write(t, path) }, local.ErrForeign},
		{"a directory", func(t *testing.T, _, path string) { os.Mkdir(path, 0o700) }, local.ErrForeign},
		{"a link to a socket", func(t *testing.T, dir, path string) {
			listen(t, filepath.Join(dir, "other"))
			os.Symlink(filepath.Join(dir, "other"), path)
		}, local.ErrForeign},
		{"a link to nothing", func(t *testing.T, dir, path string) {
			os.Symlink(filepath.Join(dir, "nothing"), path)
		}, local.ErrForeign},
		{"open directory", func(t *testing.T, dir, _ string) { os.Chmod(dir, 0o755) }, local.ErrNotPrivate},
		{"group may enter", func(t *testing.T, dir, _ string) { os.Chmod(dir, 0o710) }, local.ErrNotPrivate},
		{"no directory", func(t *testing.T, dir, _ string) { os.RemoveAll(dir) }, os.ErrNotExist},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := privateDir(t)
			path := filepath.Join(dir, "s")
			tt.prepare(t, dir, path)
			before, _ := os.Lstat(path)
			_, err := local.ListenUnix(path)
			if !errors.Is(err, tt.want) {
				t.Errorf("ListenUnix: got %v, want %v", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), dir) {
				t.Errorf("the error names the path: %v", err)
			}
			if after, _ := os.Lstat(path); (before == nil) != (after == nil) {
				t.Error("ListenUnix touched what was in the way")
			}
		})
	}
	if _, err := local.ListenUnix("/" + strings.Repeat("x", 104)); !errors.Is(err, local.ErrTooLong) {
		t.Errorf("ListenUnix of a long path: got %v, want ErrTooLong", err)
	}
}

func write(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, []byte("a file of the user's"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestLoopback(t *testing.T) {
	for _, bad := range []string{"", "localhost:0", "0.0.0.0:0", ":0", "[::]:0", "127.0.0.2:0", "192.0.2.1:80",
		"[::1%lo]:0", "[::ffff:127.0.0.1]:0", "127.0.0.1", "127.1:0", "example.com:80", "127.0.0.1:65536", "127.0.0.1:http"} {
		if l, err := local.ListenLoopback(bad); !errors.Is(err, local.ErrNotLoopback) {
			if l != nil {
				l.Close()
			}
			t.Errorf("ListenLoopback(%q): got %v, want ErrNotLoopback", bad, err)
		}
		if _, err := local.LoopbackClient(bad); !errors.Is(err, local.ErrNotLoopback) {
			t.Errorf("LoopbackClient(%q): got %v, want ErrNotLoopback", bad, err)
		}
	}
	l, err := local.ListenLoopback("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	rt, err := local.LoopbackClient(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	exchange(t, l, rt)
}

func TestUnixClient(t *testing.T) {
	path := filepath.Join(privateDir(t), "s")
	l := listen(t, path)
	exchange(t, l, local.UnixClient(path))
}

// exchange lets rt ask a server on l, whatever the environment says of
// proxies.
func exchange(t *testing.T, l net.Listener, rt http.RoundTripper) {
	t.Helper()
	t.Setenv("HTTP_PROXY", "http://192.0.2.1:1")
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") })}
	done := make(chan struct{})
	go func() { defer close(done); srv.Serve(l) }()
	t.Cleanup(func() { srv.Close(); <-done })
	req, err := http.NewRequest("GET", "http://192.0.2.1/", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "hello" {
		t.Errorf("got %q, %v, want hello", body, err)
	}
	rt.(*http.Transport).CloseIdleConnections()
}

func TestClientErrorsNameNoPath(t *testing.T) {
	dir := privateDir(t)
	req, _ := http.NewRequest("GET", "http://x/", nil)
	_, err := local.UnixClient(filepath.Join(dir, "none")).RoundTrip(req)
	if !errors.Is(err, os.ErrNotExist) || strings.Contains(err.Error(), dir) {
		t.Errorf("got %v, want an error that is os.ErrNotExist and names no path", err)
	}
}
