package gbs_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"lafs/shares/caps"
	"lafs/shares/storage"
	"lafs/shares/storage/gbs"
)

// fixed answers Version; its other methods are nil.
type fixed struct{ storage.Server }

func (fixed) Version(context.Context) (storage.Version, error) {
	return storage.Version{MaxImmutableShareSize: 3, MaxMutableShareSize: 2, AvailableSpace: 1}, nil
}

// failing answers every read with an error that nobody may see.
type failing struct{ storage.Server }

func (failing) Read(context.Context, storage.Kind, caps.StorageIndex, storage.ShareNumber, int64, []byte) (int, error) {
	return 0, errors.New("open /home/user/private: permission denied")
}

func TestOwnFaults(t *testing.T) {
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	h := gbs.NewHandler(gbs.HandlerConfig{Authorize: authorize(failing{}), Log: logger})
	for _, tt := range []struct{ name, path string }{
		{"an error", prefix + "/7"},
		{"a panic", prefix + "/shares"},
	} {
		resp, body := send(t, h, wire{method: "GET", path: tt.path, headers: []string{authLine}})
		if resp.StatusCode != 500 || body != "server error" {
			t.Errorf("%s: got %d %q", tt.name, resp.StatusCode, body)
		}
	}
	if !strings.Contains(log.String(), "panicked") || strings.Contains(log.String(), swissnum) {
		t.Errorf("log: got %q", log.String())
	}
}

// gate blocks in Version until it is closed.
type gate struct {
	storage.Server
	entered, open chan struct{}
}

func (g gate) Version(context.Context) (storage.Version, error) {
	g.entered <- struct{}{}
	<-g.open
	return storage.Version{}, nil
}

func TestTooManyRequests(t *testing.T) {
	g := gate{entered: make(chan struct{}), open: make(chan struct{})}
	h := gbs.NewHandler(gbs.HandlerConfig{Authorize: authorize(g), MaxRequests: 1})
	c := gbs.NewClient(answering{t, h}, storage.NewSwissnum(swissnum))
	done := make(chan error)
	go func() {
		_, err := c.Version(t.Context())
		done <- err
	}()
	<-g.entered
	if _, err := c.Version(t.Context()); !errors.Is(err, storage.ErrBusy) {
		t.Errorf("Version while another is under way: got %v", err)
	}
	close(g.open)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// says is a server that answers everything with one status, header and body.
func says(status int, header, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for l := range strings.Lines(header) {
			k, v, _ := strings.Cut(strings.TrimSpace(l), ": ")
			w.Header().Set(k, v)
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

const cborHeader = "Content-Type: application/cbor"

// TestHostileServer: what is not the protocol is ErrPeer, and nothing of it
// is returned.
func TestHostileServer(t *testing.T) {
	endless := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/cbor")
		w.Header().Set("Content-Range", "bytes 0-99/*")
		if r.Header.Get("Range") != "" {
			w.WriteHeader(206)
		}
		for {
			if _, err := w.Write(make([]byte, 1<<16)); err != nil {
				return
			}
		}
	})
	ctx, si := t.Context(), testIndex
	up, lease := storage.NewUploadSecret([]byte("x")), &storage.LeaseSecrets{}
	version := func(c *gbs.Client) error { _, err := c.Version(ctx); return err }
	shares := func(c *gbs.Client) error { _, err := c.Shares(ctx, storage.Immutable, si); return err }
	allocate := func(c *gbs.Client) error {
		_, err := c.Allocate(ctx, si, []storage.ShareNumber{1, 2}, 10, up, lease)
		return err
	}
	write := func(c *gbs.Client) error { _, err := c.Write(ctx, si, 1, up, 0, []byte("data")); return err }
	read := func(c *gbs.Client) error {
		n, err := c.Read(ctx, storage.Immutable, si, 1, 0, make([]byte, 100))
		if n != 0 {
			t.Errorf("Read: got %d bytes", n)
		}
		return err
	}
	part := func(span string) string { return "Content-Range: bytes " + span }
	hundred := strings.Repeat("x", 100)
	for _, tt := range []struct {
		name   string
		call   func(*gbs.Client) error
		server http.Handler
		want   error
	}{
		{"endless version", version, endless, storage.ErrPeer},
		{"endless shares", shares, endless, storage.ErrPeer},
		{"endless read", read, endless, storage.ErrPeer},
		{"garbage", shares, says(200, cborHeader, "garbage"), storage.ErrPeer},
		{"nothing", shares, says(200, cborHeader, ""), storage.ErrPeer},
		{"another type", shares, says(200, "Content-Type: text/html", unhex("d9010280")), storage.ErrPeer},
		{"an array for a set", shares, says(200, cborHeader, unhex("80")), storage.ErrPeer},
		{"another tag", shares, says(200, cborHeader, unhex("d9010380")), storage.ErrPeer},
		{"bytes in the set", shares, says(200, cborHeader, unhex("d901024101")), storage.ErrPeer},
		{"null in the set", shares, says(200, cborHeader, unhex("d90102f6")), storage.ErrPeer},
		{"share 256", shares, says(200, cborHeader, unhex("d9010281190100")), storage.ErrPeer},
		{"share -1", shares, says(200, cborHeader, unhex("d901028120")), storage.ErrPeer},
		{"a share twice", shares, says(200, cborHeader, unhex("d90102820101")), storage.ErrPeer},
		{"indefinite length", shares, says(200, cborHeader, unhex("d901029f01ff")), storage.ErrPeer},
		{"an array of 2^32", shares, says(200, cborHeader, unhex("d901029a00ffffff01")), storage.ErrPeer},
		{"deep nesting", shares, says(200, cborHeader, strings.Repeat("\x81", 60000)+"\x00"), storage.ErrPeer},
		{"a status of no meaning", shares, says(299, cborHeader, ""), storage.ErrPeer},
		{"a redirect", shares, says(301, "Location: http://example.com/", ""), storage.ErrPeer},
		{"shares nobody asked for", allocate, says(200, cborHeader,
			unhex("a2"+"6c616c72656164792d68617665"+"d9010280"+"69616c6c6f6361746564"+"d901028103")), storage.ErrPeer},
		{"a share in both lists", allocate, says(200, cborHeader,
			unhex("a2"+"6c616c72656164792d68617665"+"d901028101"+"69616c6c6f6361746564"+"d901028101")), storage.ErrPeer},
		{"a repeated key", allocate, says(200, cborHeader,
			unhex("a3"+"6c616c72656164792d68617665"+"d9010280"+"69616c6c6f6361746564"+"d9010280"+"69616c6c6f6361746564"+"d9010280")), storage.ErrPeer},
		{"a missing key", allocate, says(200, cborHeader, unhex("a1"+"6c616c72656164792d68617665"+"d9010280")), storage.ErrPeer},
		{"whole, and still missing", write, says(201, cborHeader, unhex("a1687265717569726564"+"81a265626567696e0063656e6405")), storage.ErrPeer},
		{"not whole, and nothing missing", write, says(200, cborHeader, unhex("a168726571756972656480")), storage.ErrPeer},
		{"an empty range", write, says(200, cborHeader, unhex("a1687265717569726564"+"81a265626567696e0563656e6405")), storage.ErrPeer},
		{"a version without limits", version, says(200, cborHeader, unhex("a0")), storage.ErrPeer},
		{"200 to a range", read, says(200, part("0-99/*"), hundred), storage.ErrPeer},
		{"no content range", read, says(206, "", hundred), storage.ErrPeer},
		{"another range", read, says(206, part("1-99/*"), hundred[1:]), storage.ErrPeer},
		{"a range too long", read, says(206, part("0-100/*"), hundred+"x"), storage.ErrPeer},
		{"more bytes than said", read, says(206, part("0-98/*"), hundred), storage.ErrPeer},
		{"fewer bytes than said", read, says(206, part("0-99/*")+"\nTransfer-Encoding: chunked", hundred[1:]), storage.ErrPeer},
		{"no bytes", read, says(206, part("0-99/*"), ""), storage.ErrPeer},
		{"cut in the middle", read, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Range", "bytes 0-99/*")
			w.Header().Set("Content-Length", "100")
			w.WriteHeader(206)
			io.WriteString(w, hundred[:50])
			panic(http.ErrAbortHandler)
		}), storage.ErrUnreachable},
		{"no answer", read, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), storage.ErrUnreachable},
		{"405 to a read", read, says(405, "", ""), storage.ErrBadRequest},
		{"507", allocate, says(507, "", ""), storage.ErrNoSpace},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := gbs.NewClient(answering{t, tt.server}, storage.NewSwissnum(swissnum))
			if err := tt.call(c); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestSlowServer(t *testing.T) {
	stall := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Range", "bytes 0-99/*")
		w.WriteHeader(206)
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	c := gbs.NewClient(answering{t, stall}, storage.NewSwissnum(swissnum))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := c.Read(ctx, storage.Immutable, testIndex, 1, 0, make([]byte, 100)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Read of a server that stalls: got %v", err)
	}
}
