package gbs_test

import (
	"bytes"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"lafs/onion/oniontest"
	"lafs/shares/caps"
	"lafs/shares/storage"
	"lafs/shares/storage/gbs"
)

// Small shares are stored and read in one request each; again is a success;
// and a server that knows neither request is asked as GBS asks.
func TestWhole(t *testing.T) {
	for _, tt := range []struct {
		name  string
		tahoe bool
	}{{"ours", false}, {"one that speaks only GBS", true}} {
		t.Run(tt.name, func(t *testing.T) {
			ours := 0
			h := gbs.NewHandler(gbs.HandlerConfig{Authorize: authorize(openStore(t, time.Now))})
			counted := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasPrefix(r.URL.Path, "/lafs/") {
					ours++
					if tt.tahoe {
						w.WriteHeader(http.StatusNotFound)
						return
					}
				}
				h.ServeHTTP(w, r)
			})
			c := gbs.NewClient(serve(t, counted, oniontest.Options{}), storage.NewSwissnum(swissnum))
			ctx, si, lease, up := t.Context(), caps.StorageIndex{7}, &storage.LeaseSecrets{}, storage.GenerateUploadSecret()
			shares := map[storage.ShareNumber][]byte{3: bytes.Repeat([]byte("x"), 900), 200: bytes.Repeat([]byte("y"), 900)}
			both := []storage.ShareNumber{3, 200}

			a, err := c.StoreWhole(ctx, si, shares, up, lease)
			if err != nil || !slices.Equal(a.Allocated, both) || len(a.AlreadyHave) != 0 {
				t.Fatalf("StoreWhole: got %+v, %v, want both stored", a, err)
			}
			if a, err = c.StoreWhole(ctx, si, shares, up, lease); err != nil || !slices.Equal(a.AlreadyHave, both) {
				t.Errorf("StoreWhole again: got %+v, %v, want both held", a, err)
			}
			got, err := c.ReadWhole(ctx, si, 900, nil)
			if err != nil || len(got) != 2 || !bytes.Equal(got[3].Data, shares[3]) || !bytes.Equal(got[200].Data, shares[200]) {
				t.Errorf("ReadWhole: got %d shares, %v", len(got), err)
			}
			if got, err = c.ReadWhole(ctx, si, 899, nil); err != nil || len(got) != 2 || got[3].Data != nil {
				t.Errorf("ReadWhole of less: got %v, %v, want two shares without bytes", got, err)
			}
			if got, err = c.ReadWhole(ctx, caps.StorageIndex{8}, 900, nil); err != nil || len(got) != 0 {
				t.Errorf("ReadWhole of nothing: got %v, %v", got, err)
			}
			// Of shares that are too long, spans come along; one that only
			// speaks GBS is read another time.
			got, err = c.ReadWhole(ctx, si, 0, []storage.Range{{Begin: 0, End: 4}, {Begin: 890, End: 1000}})
			if err != nil || len(got) != 2 || got[3].Data != nil || (got[3].Spans == nil) != tt.tahoe {
				t.Errorf("ReadWhole of spans: got %v, %v", got, err)
			}
			if !tt.tahoe && (string(got[200].Spans[0]) != "yyyy" || string(got[3].Spans[1]) != "xxxxxxxxxx") {
				t.Errorf("ReadWhole of spans: got %q", got[200].Spans)
			}
			for _, spans := range [][]storage.Range{{{Begin: -1, End: 2}}, {{Begin: 3, End: 3}}, {{Begin: 0, End: storage.MaxWholeBody + 1}}, make([]storage.Range, 9)} {
				if _, err := c.ReadWhole(ctx, si, 0, spans); !errors.Is(err, storage.ErrBadRequest) {
					t.Errorf("ReadWhole of %v: got %v, want ErrBadRequest", spans, err)
				}
			}
			if want := map[bool]int{false: 6, true: 1}[tt.tahoe]; ours != want {
				t.Errorf("%d requests of ours, want %d", ours, want)
			}
		})
	}
}

func TestWholeRefuses(t *testing.T) {
	h := gbs.NewHandler(gbs.HandlerConfig{Authorize: authorize(openStore(t, time.Now))})
	c := gbs.NewClient(serve(t, h, oniontest.Options{}), storage.NewSwissnum(swissnum))
	for name, shares := range map[string]map[storage.ShareNumber][]byte{
		"none":        {},
		"empty":       {1: {}},
		"two lengths": {1: make([]byte, 10), 2: make([]byte, 11)},
		"too long":    {1: make([]byte, storage.MaxWholeShare+1)},
	} {
		_, err := c.StoreWhole(t.Context(), caps.StorageIndex{1}, shares, storage.GenerateUploadSecret(), &storage.LeaseSecrets{})
		if !errors.Is(err, storage.ErrBadRequest) {
			t.Errorf("%s: got %v, want ErrBadRequest", name, err)
		}
	}
}

// What a server may not answer to ReadWhole.
func TestWholeHostile(t *testing.T) {
	for name, body := range map[string]string{
		"garbage":            "\xff\xff",
		"another map":        "\xa1\x61x\x01",
		"number too large":   "\xa1\x66shares\xa1\x19\x01\x00\x82\x01\x41x",
		"more than asked":    "\xa1\x66shares\xa1\x01\x82\x03\x43xxx",
		"size not its bytes": "\xa1\x66shares\xa1\x01\x82\x05\x42xx",
		"spans of no share":  "\xa2\x65spans\xa1\x01\x82\x41x\x41x\x66shares\xa0",
		"too few spans":      "\xa2\x65spans\xa1\x01\x81\x41x\x66shares\xa1\x01\x82\x00\x40",
		"span too long":      "\xa2\x65spans\xa1\x01\x82\x41x\x43xxx\x66shares\xa1\x01\x82\x00\x40",
		"endless":            strings.Repeat("\x00", storage.MaxWholeBody+100_000),
	} {
		t.Run(name, func(t *testing.T) {
			h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/cbor")
				w.Write([]byte(body))
			})
			c := gbs.NewClient(serve(t, h, oniontest.Options{}), storage.NewSwissnum(swissnum))
			if got, err := c.ReadWhole(t.Context(), caps.StorageIndex{1}, 2, []storage.Range{{Begin: 0, End: 2}, {Begin: 5, End: 7}}); !errors.Is(err, storage.ErrPeer) {
				t.Errorf("ReadWhole: got %v, %v, want ErrPeer", got, err)
			}
		})
	}
}
