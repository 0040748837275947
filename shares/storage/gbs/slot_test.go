package gbs_test

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lafs/onion/oniontest"
	"lafs/shares/agree"
	"lafs/shares/caps"
	"lafs/shares/mutable"
	"lafs/shares/storage"
	"lafs/shares/storage/gbs"
	"lafs/shares/storage/storagetest"
)

func TestSlots(t *testing.T) {
	storagetest.Slots(t, func(t *testing.T) storage.Slots {
		h := gbs.NewHandler(gbs.HandlerConfig{Authorize: authorize(openStore(t, time.Now))})
		return gbs.NewClient(answering{t, h}, storage.NewSwissnum(swissnum))
	})
}

func TestSlotsOverMux(t *testing.T) {
	storagetest.Slots(t, func(t *testing.T) storage.Slots {
		h := gbs.NewHandler(gbs.HandlerConfig{Authorize: authorize(openStore(t, time.Now))})
		return gbs.NewClient(serve(t, h, oniontest.Options{}), storage.NewSwissnum(swissnum))
	})
}

// TestSlotRoundTrips: each request costs one trip on a warm session.
func TestSlotRoundTrips(t *testing.T) {
	const rtt = time.Second
	key, err := mutable.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	v, err := mutable.Encode(key, mutable.Params{Needed: 1, Total: 1}, 1, []byte("content"))
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		h := gbs.NewHandler(gbs.HandlerConfig{Authorize: authorize(openStore(t, time.Now))})
		c := gbs.NewClient(serve(t, h, oniontest.Options{RTT: rtt}), storage.NewSwissnum(swissnum))
		ctx, si := t.Context(), caps.StorageIndex{1}
		enabler, lease := &storage.WriteEnabler{1}, &storage.LeaseSecrets{}
		id := storage.VersionOf(v.Header)
		c.Version(ctx)
		for _, m := range []agree.Message{agree.Read{}, agree.Fast{New: id}, agree.Learn{Version: id, Ballot: agree.Ballot{Fast: 1}},
			agree.Prepare{Ballot: agree.Ballot{N: 1}}, agree.Accept{Ballot: agree.Ballot{N: 1}, Version: id, Base: agree.Base{Itself: true}}, agree.Read{}} {
			start := time.Now()
			a, err := c.Slot(ctx, si, storage.SlotRequest{Message: m, Enabler: enabler, Lease: lease, Fetch: 64 << 10,
				Shares: map[storage.ShareNumber][]byte{0: v.Shares[0]}})
			if err != nil || !a.Done {
				t.Errorf("Slot %T: got %+v, %v", m, a, err)
			}
			if trips := time.Since(start).Seconds() / rtt.Seconds(); trips < 1 || trips > 1.01 {
				t.Errorf("Slot %T: got %.3f round trips, want 1", m, trips)
			}
		}
		start := time.Now()
		_, _, err := c.ReadTestWrite(ctx, si, enabler, lease, nil, []storage.Span{{Size: 100}})
		if trips := time.Since(start).Seconds() / rtt.Seconds(); err != nil || trips < 1 || trips > 1.01 {
			t.Errorf("ReadTestWrite: got %.3f round trips, %v, want 1", trips, err)
		}
	})
}

const slotPrefix = "/storage/v1/mutable/" + index

// TestReadTestWriteWire goes through the life of a slot in the bytes of the
// storage protocol, written by hand.
func TestReadTestWriteWire(t *testing.T) {
	h := gbs.NewHandler(gbs.HandlerConfig{Authorize: authorize(openStore(t, time.Now))})
	enabler := "write-enabler " + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("w", 32)))
	other := "write-enabler " + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", 32)))
	cborType := "Content-Type: application/cbor"
	with := func(lines []string, more ...string) []string { return append(slices.Clone(lines), more...) }
	all := with(secretLines(enabler, renew, cancel), cborType)
	text := func(s string) string {
		return hex.EncodeToString([]byte{0x60 + byte(len(s))}) + hex.EncodeToString([]byte(s))
	}
	long := func(s string) string { return "72" + hex.EncodeToString([]byte(s)) } // 18 letters
	head := "a2" + long("test-write-vectors")
	// Of share 3: it is empty, becomes "hello", and its first 9 bytes are
	// read.
	create := head + "a1" + "03" + "a3" +
		text("test") + "81" + "a3" + text("offset") + "00" + text("size") + "01" + text("specimen") + "40" +
		text("write") + "81" + "a2" + text("offset") + "00" + text("data") + "4568656c6c6f" +
		text("new-length") + "f6" +
		text("read-vector") + "81" + "a2" + text("offset") + "00" + text("size") + "09"
	answer := func(success, data string) string {
		return unhex("a2" + text("data") + data + text("success") + success)
	}
	path := slotPrefix + "/read-test-write"
	replace := func(old, new string) string {
		out := strings.Replace(create, old, new, 1)
		if out == create {
			t.Fatalf("%s is not in the request", old)
		}
		return unhex(out)
	}
	for _, w := range []wire{
		{"no shares", "GET", slotPrefix + "/shares", []string{authLine}, "", 200, unhex("d9010280")},
		{"create", "POST", path, all, unhex(create), 200, answer("f5", "a0")},
		{"create again", "POST", path, all, unhex(create), 200, answer("f4", "a103814568656c6c6f")},
		{"another enabler", "POST", path, with(secretLines(other, renew, cancel), cborType), unhex(create), 401, "wrong authorization"},
		{"a short enabler", "POST", path, with(secretLines("write-enabler eHg=", renew, cancel), cborType), unhex(create), 400, ""},
		{"no enabler", "POST", path, with(secretLines(renew, cancel), cborType), unhex(create), 400, ""},
		{"an upload secret too", "POST", path, with(secretLines(enabler, renew, cancel, upload), cborType), unhex(create), 400, ""},
		{"shares", "GET", slotPrefix + "/shares", []string{authLine}, "", 200, unhex("d901028103")},
		{"read", "GET", slotPrefix + "/3", []string{authLine}, "", 200, "hello"},
		{"read a range", "GET", slotPrefix + "/3", []string{authLine, "Range: bytes=2-4"}, "", 206, "llo"},
		{"read behind the end", "GET", slotPrefix + "/3", []string{authLine, "Range: bytes=5-9"}, "", 204, ""},
		{"read no share", "GET", slotPrefix + "/4", []string{authLine}, "", 404, "not found"},
		{"read a bucket", "GET", prefix + "/3", []string{authLine}, "", 404, "not found"},
		{"corrupt", "POST", slotPrefix + "/3/corrupt", []string{authLine, cborType}, unhex("a166726561736f6e6178"), 200, ""},
		{"corrupt nothing", "POST", slotPrefix + "/4/corrupt", []string{authLine, cborType}, unhex("a166726561736f6e6178"), 404, ""},
		{"lease", "PUT", "/storage/v1/lease/" + index, secretLines(renew, cancel), "", 204, ""},
		{"cut", "POST", path, all, unhex(head + "a1" + "03" + "a3" + text("test") + "80" + text("write") + "80" + text("new-length") + "02" +
			text("read-vector") + "80"), 200, answer("f5", "a10380")},
		{"read what is left", "GET", slotPrefix + "/3", []string{authLine}, "", 200, "he"},
		{"another answer", "POST", path, with(all, "Accept: text/html"), unhex(create), 406, ""},
		{"another type", "POST", path, with(secretLines(enabler, renew, cancel), "Content-Type: text/html"), unhex(create), 415, ""},
		{"get", "GET", path, []string{authLine}, "", 405, ""},
		{"garbage", "POST", path, all, "garbage", 400, "bad request"},
		{"share 256", "POST", path, all, replace("a103a3", "a1190100a3"), 400, ""},
		{"no new length", "POST", path, all, unhex(strings.Replace(strings.Replace(create, text("new-length")+"f6", "", 1), "03a3", "03a2", 1)), 400, ""},
		{"a negative length", "POST", path, all, replace("f6", "20"), 400, ""},
		{"a length in words", "POST", path, all, replace("f6", "6135"), 400, ""},
		{"no specimen", "POST", path, all, replace(text("specimen")+"40", text("specimen")+"f6"), 400, ""},
		{"a text for data", "POST", path, all, replace("4568656c6c6f", "6568656c6c6f"), 400, ""},
		{"delete", "POST", path, all, unhex(head + "a1" + "03" + "a3" + text("test") + "80" + text("write") + "80" + text("new-length") + "00" +
			text("read-vector") + "80"), 200, answer("f5", "a10380")},
		{"no lease on nothing", "PUT", "/storage/v1/lease/" + index, secretLines(renew, cancel), "", 404, ""},
		{"a slot step in garbage", "POST", "/lafs/v1/slot/" + index, []string{authLine, cborType}, "garbage", 400, ""},
		{"a slot step unheard of", "POST", "/lafs/v1/slot/" + index, []string{authLine, cborType}, unhex("a1" + text("step") + text("jump")), 400, ""},
		{"a slot step", "POST", "/lafs/v1/slot/" + index, []string{authLine, cborType}, unhex("a1" + text("step") + text("read")), 200, ""},
		{"a slot step unauthorized", "POST", "/lafs/v1/slot/" + index, []string{cborType}, unhex("a1" + text("step") + text("read")), 401, ""},
	} {
		resp, body := send(t, h, w)
		if resp.StatusCode != w.status || w.answer != "" && body != w.answer {
			t.Errorf("%s: got %d %x, want %d %x", w.name, resp.StatusCode, body, w.status, w.answer)
		}
	}
}

// TestNoSlots: a server that keeps no slots says that it knows no such
// request, and a client knows from it how to ask.
func TestNoSlots(t *testing.T) {
	h := gbs.NewHandler(gbs.HandlerConfig{Authorize: authorize(fixed{})})
	c := gbs.NewClient(answering{t, h}, storage.NewSwissnum(swissnum))
	if c.OnlyTahoe() {
		t.Error("OnlyTahoe before anything was asked")
	}
	if _, err := c.Slot(t.Context(), testIndex, storage.SlotRequest{Message: agree.Read{}}); err == nil || !c.OnlyTahoe() {
		t.Errorf("Slot: got %v, OnlyTahoe %v", err, c.OnlyTahoe())
	}
	_, _, err := c.ReadTestWrite(t.Context(), testIndex, &storage.WriteEnabler{}, &storage.LeaseSecrets{}, nil, nil)
	if !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("ReadTestWrite: got %v", err)
	}
}

// TestVotesBehindSharesAreRefused: a client that takes us for a server of
// Tahoe-LAFS's, in whose place we are, must not vote behind the shares, and
// asks us our way from then on.
func TestVotesBehindSharesAreRefused(t *testing.T) {
	h := gbs.NewHandler(gbs.HandlerConfig{Authorize: authorize(openStore(t, time.Now))})
	tahoe := true
	c := gbs.NewClient(answering{t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if tahoe && strings.HasPrefix(r.URL.Path, "/lafs/") {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		h.ServeHTTP(w, r)
	})}, storage.NewSwissnum(swissnum))
	promise := func() error {
		a, err := c.Slot(t.Context(), testIndex, storage.SlotRequest{Message: agree.Prepare{Ballot: agree.Ballot{N: 1}},
			Enabler: &storage.WriteEnabler{1}, Lease: &storage.LeaseSecrets{}, Numbers: []storage.ShareNumber{0}})
		if err == nil && !a.Done {
			t.Error("Prepare: not done")
		}
		return err
	}
	if err := promise(); !errors.Is(err, storage.ErrStateLost) {
		t.Fatalf("a promise behind shares: got %v, want ErrStateLost", err)
	}
	if tahoe = false; c.OnlyTahoe() {
		t.Error("it is still taken for a server of Tahoe-LAFS's")
	}
	if err := promise(); err != nil {
		t.Errorf("a promise, our way: %v", err)
	}
}
