package gbs_test

import (
	"context"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"testing"

	"lafs/onion/mux"
	"lafs/shares/agree"
	"lafs/shares/caps"
	"lafs/shares/storage"
	"lafs/shares/storage/gbs"
)

func word(s string) string {
	return hex.EncodeToString([]byte{0x60 + byte(len(s))}) + hex.EncodeToString([]byte(s))
}

// TestHostileSlots: what is not the protocol is ErrPeer.
func TestHostileSlots(t *testing.T) {
	step := func(c *gbs.Client) error {
		a, err := c.Slot(t.Context(), testIndex, storage.SlotRequest{Message: agree.Read{}, Fetch: 10})
		if err != nil && (a.Done || a.Current != nil) {
			t.Errorf("Slot: got %+v with an error", a)
		}
		return err
	}
	write := func(c *gbs.Client) error {
		_, data, err := c.ReadTestWrite(t.Context(), testIndex, &storage.WriteEnabler{}, &storage.LeaseSecrets{}, nil, []storage.Span{{Size: 3}})
		if err != nil && data != nil {
			t.Errorf("ReadTestWrite: got %v with an error", data)
		}
		return err
	}
	ballots := word("promised") + "83000000" + word("accepted") + "83000000"
	zero := ballots + word("version") + "820040"
	endless := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/cbor")
		for {
			if _, err := w.Write(make([]byte, 1<<16)); err != nil {
				return
			}
		}
	})
	cbor := func(h string) http.Handler { return says(200, cborHeader, unhex(h)) }
	for _, tt := range []struct {
		name   string
		call   func(*gbs.Client) error
		server http.Handler
		want   error
	}{
		{"a state", step, cbor("a3" + zero), nil},
		{"endless", step, endless, storage.ErrPeer},
		{"nothing", step, cbor(""), storage.ErrPeer},
		{"a short root", step, cbor("a3" + ballots + word("version") + "820141ff"), storage.ErrPeer},
		{"a sequence number without a root", step, cbor("a3" + ballots + word("version") + "820140"), storage.ErrPeer},
		{"a ballot of two", step, cbor("a3" + word("promised") + "820000" + word("accepted") + "83000000" + word("version") + "820040"), storage.ErrPeer},
		{"an unknown field", step, cbor("a4" + zero + word("more") + "01"), storage.ErrPeer},
		{"a repeated field", step, cbor("a4" + zero + word("version") + "820040"), storage.ErrPeer},
		{"share 256", step, cbor("a4" + zero + word("shares") + "a1190100820541ff"), storage.ErrPeer},
		{"more bytes than the share has", step, cbor("a4" + zero + word("shares") + "a10082014200ff"), storage.ErrPeer},
		{"more bytes than asked for", step, cbor("a4" + zero + word("base") + "a10082184b4b" + strings.Repeat("00", 11)), storage.ErrPeer},
		{"too many ancestors", step, cbor("a4" + zero + word("ancestors") + "9821" + strings.Repeat("820040", 33)), storage.ErrPeer},
		{"deep nesting", step, cbor("a4" + zero + word("shares") + strings.Repeat("81", 1000) + "00"), storage.ErrPeer},
		{"a lost state", step, says(410, "", ""), storage.ErrStateLost},
		{"404", step, says(404, "", ""), storage.ErrNotFound},

		{"a success", write, cbor("a2" + word("success") + "f5" + word("data") + "a1008143616263"), nil},
		{"endless data", write, endless, storage.ErrPeer},
		{"no success", write, cbor("a1" + word("data") + "a0"), storage.ErrPeer},
		{"no data", write, cbor("a1" + word("success") + "f5"), storage.ErrPeer},
		{"more than was asked for", write, cbor("a2" + word("success") + "f5" + word("data") + "a1008144" + "61626364"), storage.ErrPeer},
		{"too many parts", write, cbor("a2" + word("success") + "f5" + word("data") + "a100824040"), storage.ErrPeer},
		{"too few parts", write, cbor("a2" + word("success") + "f5" + word("data") + "a10080"), storage.ErrPeer},
		{"no such share number", write, cbor("a2" + word("success") + "f5" + word("data") + "a11901008140"), storage.ErrPeer},
		{"another enabler", write, says(401, "", ""), storage.ErrUnauthorized},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := gbs.NewClient(answering{t, tt.server}, storage.NewSwissnum(swissnum))
			if err := tt.call(c); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

// generous answers every step with more than the memory has room for.
type generous struct {
	storage.Server
	storage.Slots
}

func (generous) Slot(context.Context, caps.StorageIndex, storage.SlotRequest) (storage.SlotAnswer, error) {
	shares := map[storage.ShareNumber]storage.SlotShare{}
	for n := range storage.ShareNumber(4) {
		shares[n] = storage.SlotShare{Size: 1 << 18, Data: make([]byte, 1<<18)}
	}
	return storage.SlotAnswer{Current: shares}, nil
}

// TestSlotMemory: what does not fit is refused, and what fits still goes
// after it.
func TestSlotMemory(t *testing.T) {
	h := gbs.NewHandler(gbs.HandlerConfig{Authorize: authorize(openStore(t, nil)), Budget: mux.NewBudget(mux.BudgetConfig{Bytes: 2 << 20})})
	c := gbs.NewClient(answering{t, h}, storage.NewSwissnum(swissnum))
	write := func(size int) error {
		w := map[storage.ShareNumber]storage.TestWrite{0: {Patches: []storage.Patch{{Data: make([]byte, size)}}}}
		_, _, err := c.ReadTestWrite(t.Context(), testIndex, &storage.WriteEnabler{}, &storage.LeaseSecrets{}, w, nil)
		return err
	}
	for range 3 {
		if err := write(2 << 20); !errors.Is(err, storage.ErrBusy) {
			t.Errorf("2 MiB: got %v", err)
		}
		if err := write(300 << 10); err != nil {
			t.Errorf("300 KiB: got %v", err)
		}
	}
	h = gbs.NewHandler(gbs.HandlerConfig{Authorize: authorize(generous{}), Budget: mux.NewBudget(mux.BudgetConfig{Bytes: 2 << 20})})
	c = gbs.NewClient(answering{t, h}, storage.NewSwissnum(swissnum))
	for _, fetch := range []int64{1 << 18, 1 << 30} {
		if _, err := c.Slot(t.Context(), testIndex, storage.SlotRequest{Message: agree.Read{}, Fetch: fetch}); !errors.Is(err, storage.ErrBusy) {
			t.Errorf("an answer of 1 MiB, asked for %d: got %v", fetch, err)
		}
	}
}

// TestSlotTooLarge: the client does not send what no server takes.
func TestSlotTooLarge(t *testing.T) {
	refused := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") })
	c := gbs.NewClient(answering{t, refused}, storage.NewSwissnum(swissnum))
	half := make([]byte, storage.MaxSlotRequest/2+1)
	_, err := c.Slot(t.Context(), testIndex, storage.SlotRequest{Message: agree.Learn{Version: agree.VersionID{Seq: 1}}, Enabler: &storage.WriteEnabler{},
		Shares: map[storage.ShareNumber][]byte{0: half}, Base: map[storage.ShareNumber][]byte{0: half}})
	if !errors.Is(err, storage.ErrTooLarge) {
		t.Errorf("Slot: got %v", err)
	}
}
