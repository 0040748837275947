package node_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"lafs/introducer"
	"lafs/node"
	"lafs/onion/door"
	"lafs/onion/local"
	"lafs/onion/mux"
	"lafs/onion/oniontest"
	"lafs/shares/caps"
	"lafs/shares/storage"
	"lafs/shares/storage/gbs"
)

// A guest is a client of a server under an authority of its own.
type guest struct {
	*gbs.Client
	peer     *mux.Peer
	swissnum string
}

func granted(t *testing.T, cfg *node.Config, host *oniontest.Host, name string, quota int64) guest {
	t.Helper()
	a, err := cfg.Grant(node.GrantRequest{Name: name, Quota: &quota})
	if err != nil {
		t.Fatal(err)
	}
	var line struct {
		Storage map[string]struct {
			Ann map[string]any `json:"ann"`
		} `json:"storage"`
	}
	if err := json.Unmarshal([]byte(a.Client), &line); err != nil {
		t.Fatal(err)
	}
	at, err := introducer.Static(introducerID(t, cfg), line.Storage[introducerID(t, cfg)].Ann)
	if err != nil {
		t.Fatal(err)
	}
	pool, err := mux.NewPool(host, mux.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pool.Close() })
	peer := pool.Peer(at.Address, "storage")
	return guest{gbs.NewClient(peer, storage.NewSwissnum(at.Swissnum.Reveal())), peer, at.Swissnum.Reveal()}
}

func usage(t *testing.T, cfg *node.Config, name string) node.AuthorityStatus {
	t.Helper()
	var all []node.AuthorityStatus
	if err := json.Unmarshal([]byte((&user{t, local.UnixClient(cfg.Dir.Socket()), node.SocketHost}).want(200, "GET", node.AuthoritiesPath, "")), &all); err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if a.Name == name {
			return a
		}
	}
	t.Fatalf("no authority %s", name)
	return node.AuthorityStatus{}
}

// half is a body that breaks off in the middle.
type half struct{ left int }

var errHalf = errors.New("the rest does not come")

func (h *half) Read(p []byte) (int, error) {
	if h.left == 0 {
		return 0, errHalf
	}
	n := min(h.left, len(p))
	h.left -= n
	return n, nil
}

func (*half) Close() error { return nil }

// TestHalfOpenUploads: whoever begins uploads and does not end them, over the
// wire, has no more of the disk than his quota, before and after a restart;
// others store beside him; and in half an hour all is given back.
func TestHalfOpenUploads(t *testing.T) {
	const size, quota = 100_000, 1 << 20
	cfg := create(t, node.CreateOptions{Storage: true})
	nw := oniontest.New(oniontest.Options{})
	t.Cleanup(func() { nw.Close() })
	mallory := granted(t, cfg, nw.Host("mallory"), "mallory", quota)
	honest := granted(t, cfg, nw.Host("honest"), "honest", 100<<20)
	// Servers may look at the clock for requests whose answers nobody awaits.
	began, later := time.Now(), new(atomic.Int64)
	now := func() time.Time { return began.Add(time.Duration(later.Load())) }
	n, stop := startAt(t, cfg, nw.Host("server"), now)

	secret, lease := storage.GenerateUploadSecret(), &storage.LeaseSecrets{}
	index := func(i int) (si caps.StorageIndex) {
		binary.BigEndian.PutUint32(si[:], uint32(i))
		return si
	}
	flood := func(from int) (more int) {
		for i := range 100 {
			a, err := mallory.Allocate(t.Context(), index(from+i), []storage.ShareNumber{0, 1, 2, 3}, size, secret, lease)
			if err != nil {
				t.Fatalf("Allocate: %v", err)
			}
			more += len(a.Allocated)
		}
		return more
	}
	begun := flood(0)
	if begun == 0 || begun > quota/size {
		t.Fatalf("mallory began %d uploads of %d bytes with a quota of %d", begun, size, quota)
	}
	for i := range begun {
		// The circuit is fine; the body ends early.
		req, err := http.NewRequestWithContext(context.Background(), "PATCH",
			"http://lafs/storage/v1/immutable/"+index(i/4).String()+"/"+string(rune('0'+i%4)), &half{size / 2})
		if err != nil {
			t.Fatal(err)
		}
		req.ContentLength = size
		req.Header = http.Header{
			"Authorization":         {"Tahoe-LAFS " + base64.StdEncoding.EncodeToString([]byte(mallory.swissnum))},
			"X-Tahoe-Authorization": {"upload-secret " + base64.StdEncoding.EncodeToString(secret.Bytes())},
			"Content-Range":         {"bytes 0-99999/*"},
		}
		if resp, err := mallory.peer.RoundTripper(mux.Bulk).RoundTrip(req); err == nil {
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			t.Errorf("half a body: got status %d", resp.StatusCode)
		}
	}
	check := func(when string) {
		t.Helper()
		if got := n.Status().Storage.Uploads; got != begun {
			t.Errorf("%s: %d uploads are unfinished, want %d", when, got, begun)
		}
		if u := usage(t, cfg, "mallory"); u.Disk != 0 || u.Reserved <= int64(begun)*size || u.Reserved > quota {
			t.Errorf("%s: mallory has %+v", when, u)
		}
		if more := flood(1000); more != 0 {
			t.Errorf("%s: mallory began %d uploads more", when, more)
		}
		data := bytes.Repeat([]byte(when), 1000)
		si := caps.StorageIndex{0xff, when[0]}
		if _, err := honest.StoreWhole(t.Context(), si, map[storage.ShareNumber][]byte{0: data}, secret, lease); err != nil {
			t.Errorf("%s: somebody else: %v", when, err)
		}
		got := make([]byte, len(data))
		if k, err := honest.Read(t.Context(), storage.Immutable, si, 0, 0, got); err != nil || !bytes.Equal(got[:k], data) {
			t.Errorf("%s: somebody else reads %d bytes, %v", when, k, err)
		}
	}
	check("under the flood")
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	n, _ = startAt(t, cfg, nw.Host("server"), now)
	check("after a restart")
	later.Add(int64(31 * time.Minute))
	again := flood(2000)
	if u := usage(t, cfg, "mallory"); again != begun || n.Status().Storage.Uploads != begun || u.Reserved > quota || u.Disk != 0 {
		t.Errorf("half an hour later: %d uploads could be begun, %d stand, %+v", again, n.Status().Storage.Uploads, u)
	}
}

// TestOneBudgetOfANode: whoever comes by the first door and by the second
// takes of one budget.
func TestOneBudgetOfANode(t *testing.T) {
	cfg := create(t, node.CreateOptions{Storage: true})
	nw := oniontest.New(oniontest.Options{})
	t.Cleanup(func() { nw.Close() })
	first := granted(t, cfg, nw.Host("client"), "somebody", 1<<30)
	n, _ := start(t, cfg, nw.Host("server"))
	_, nurl := tahoeEntry(t, cfg)
	pool, err := door.NewPool(nw.Host("tahoe"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pool.Close() })
	second := gbs.NewClient(pool.Peer(nurl.Door().Address, nurl.Door().Pin), storage.NewSwissnum(nurl.Swissnum().Reveal()))
	for i, c := range []*gbs.Client{first.Client, second} {
		if _, err := c.Version(t.Context()); err != nil {
			t.Fatal(err)
		}
		if l := n.Status().Load; l.Sessions != i+1 || l.Known != i+1 || l.MaxSessions == 0 {
			t.Errorf("after client %d: %+v", i+1, l)
		}
	}
}
