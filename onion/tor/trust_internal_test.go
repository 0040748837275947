package tor

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

var testCookie = bytes.Repeat([]byte{7}, cookieSize)

// Who may be trusted with our onion key, and by which proof.
func TestTrust(t *testing.T) {
	cookie := func(mode os.FileMode, name string, text []byte) func(*testing.T) string {
		return func(t *testing.T) string {
			path := filepath.Join(tempDir(t), name)
			if err := os.WriteFile(path, text, mode); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
			return path
		}
	}
	stranger := func(t *testing.T) string {
		path := cookie(0o600, "control_auth_cookie", testCookie)(t)
		if err := os.Chown(path, 54321, 54321); err != nil {
			t.Skip("SKIPPED: only root can make a file of another user")
		}
		return path
	}
	pipe := func(t *testing.T) string {
		path := filepath.Join(tempDir(t), "control_auth_cookie")
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := cookie(0o600, "control_auth_cookie", testCookie)
	const null, safe, pass = "METHODS=NULL", "METHODS=COOKIE,SAFECOOKIE", "METHODS=HASHEDPASSWORD"
	for _, tt := range []struct {
		name    string
		named   bool
		methods string
		cookie  func(*testing.T) string
		known   []byte // the cookie that the port knows
		pw      *Password
		ok      bool
	}{
		{"found, no authentication", false, null, nil, nil, nil, false},
		{"found, password", false, pass, nil, nil, NewPassword("x"), false},
		{"found, null beside cookie", false, "METHODS=NULL,SAFECOOKIE", stranger, testCookie, nil, false},
		{"found, cookie only in the clear", false, "METHODS=COOKIE", good, testCookie, nil, false},
		{"found, cookie", false, safe, good, testCookie, nil, true},
		{"found, Debian's cookie", false, safe, cookie(0o640, "control.authcookie", testCookie), testCookie, nil, true},
		{"found, impostor", false, safe, good, []byte("guess"), nil, false},
		{"found, cookie that all read", false, safe, cookie(0o644, "control_auth_cookie", testCookie), testCookie, nil, false},
		{"found, cookie that a group writes", false, safe, cookie(0o660, "control_auth_cookie", testCookie), testCookie, nil, false},
		{"found, another file of 32 bytes", false, safe, cookie(0o600, "motd", testCookie), testCookie, nil, false},
		{"found, a stranger's cookie", false, safe, stranger, testCookie, nil, false},
		{"found, pipe", false, safe, pipe, testCookie, nil, false},
		{"found, cookie too long", false, safe, cookie(0o600, "control_auth_cookie", make([]byte, 33)), testCookie, nil, false},
		{"found, no cookie", false, safe, func(*testing.T) string { return "/nonexistent/control_auth_cookie" }, testCookie, nil, false},
		{"found, cookie nowhere", false, "METHODS=SAFECOOKIE", nil, testCookie, nil, false},
		{"named, no authentication", true, null, nil, nil, nil, true},
		{"named, password", true, pass, nil, nil, NewPassword("x"), true},
		{"named, password not given", true, pass, nil, nil, nil, false},
		{"named, a stranger's cookie", true, safe, stranger, testCookie, nil, true},
		{"named, impostor", true, safe, good, []byte("guess"), nil, false},
		{"named, nothing that we know", true, "METHODS=MAGIC", nil, nil, nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			auth := tt.methods
			if tt.cookie != nil {
				auth += ` COOKIEFILE="` + tt.cookie(t) + `"`
			}
			f := newControl(t, &fakeControl{auth: auth, cookie: tt.known})
			s, err := openSession(t.Context(), f.endpoint(), tt.named, tt.pw)
			if err == nil {
				s.close()
			}
			if (err == nil) != tt.ok {
				t.Fatalf("openSession: got %v, want ok %v", err, tt.ok)
			}
			if !tt.ok && tt.known != nil && len(f.asked("AUTHENTICATE")) > 0 {
				t.Error("we authenticated at a port that had not proved itself")
			}
		})
	}
}

// within bounds what would hang if the code were wrong.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// A control port that says much, or nothing, before it is trusted.
func TestHostileControlPort(t *testing.T) {
	t.Run("endless line", func(t *testing.T) {
		f := newControl(t, &fakeControl{answer: func(string) (string, bool) { return "250-" + strings.Repeat("x", 1<<20), true }})
		_, err := openSession(within(t), f.endpoint(), true, nil)
		if !errors.Is(err, errControlLost) {
			t.Errorf("openSession: got %v, want errControlLost", err)
		}
	})
	t.Run("endless answer", func(t *testing.T) {
		f := newControl(t, &fakeControl{answer: func(string) (string, bool) { return strings.Repeat("250-x\r\n", 1<<17), true }})
		_, err := openSession(within(t), f.endpoint(), true, nil)
		if !errors.Is(err, errControlLost) {
			t.Errorf("openSession: got %v, want errControlLost", err)
		}
	})
	t.Run("silent", func(t *testing.T) {
		f := newControl(t, &fakeControl{answer: func(string) (string, bool) { return "", true }})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		_, err := openSession(ctx, f.endpoint(), true, nil)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("openSession: got %v, want DeadlineExceeded", err)
		}
	})
	for _, text := range []string{"garbage\r\n", "250", "\r\n", "250+x\r\n", "250-a\r\n251 b\r\n", "999 no\r\n", "250 OK\r\n250 OK\r\n250 OK\r\n"} {
		t.Run("answer "+text, func(t *testing.T) {
			f := newControl(t, &fakeControl{answer: func(string) (string, bool) { return text, true }})
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			if s, err := openSession(ctx, f.endpoint(), false, nil); err == nil {
				s.close()
				t.Error("openSession: no error")
			}
		})
	}
}

func TestPasswordIsSecret(t *testing.T) {
	var b strings.Builder
	io.WriteString(&b, NewPassword("hunter2").LogValue().String())
	if got := b.String(); got != "[secret]" {
		t.Errorf("LogValue: got %s", got)
	}
}
