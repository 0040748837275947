package gbs_test

import (
	"errors"
	"fmt"
	"runtime"
	"testing"

	"lafs/onion/mux"
	"lafs/shares/agree"
	"lafs/shares/storage"
	"lafs/shares/storage/gbs"
)

// TestReadsOfManyShares: a request that asks for much of many shares costs
// what they have, and no more than its claim where they have much: whoever
// may read could take all memory otherwise.
func TestReadsOfManyShares(t *testing.T) {
	const each = 64 << 10
	st := openStore(t, nil)
	h := gbs.NewHandler(gbs.HandlerConfig{Authorize: authorize(st), Budget: mux.NewBudget(mux.BudgetConfig{Bytes: 16 << 20})})
	c := gbs.NewClient(answering{t, h}, storage.NewSwissnum(swissnum))
	bytes := map[storage.ShareNumber][]byte{}
	for n := range 256 {
		bytes[storage.ShareNumber(n)] = []byte{1}
	}
	lease, enabler := &storage.LeaseSecrets{}, &storage.WriteEnabler{}
	if _, err := storage.StoreWhole(t.Context(), st, testIndex, bytes, storage.NewUploadSecret([]byte("x")), lease); err != nil {
		t.Fatal(err)
	}
	large := testIndex
	large[0]++
	writes := map[storage.ShareNumber]storage.TestWrite{}
	for n := range 256 {
		writes[storage.ShareNumber(n)] = storage.TestWrite{Patches: []storage.Patch{{Data: make([]byte, each)}}}
	}
	if ok, _, err := st.ReadTestWrite(t.Context(), large, enabler, lease, writes, nil); err != nil || !ok {
		t.Fatal(ok, err)
	}
	for _, tt := range []struct {
		name string
		want error
		most uint64 // bytes that it may cost
		call func() error
	}{
		{"256 shares of a byte, asked for whole", nil, 3 << 20, func() error {
			held, err := c.ReadWhole(t.Context(), testIndex, storage.MaxWholeShare, nil)
			if len(held) != 256 || len(held[255].Data) != 1 {
				return fmt.Errorf("got %d shares", len(held))
			}
			return err
		}},
		{"spans of half a MiB of each", nil, 3 << 20, func() error {
			held, err := c.ReadWhole(t.Context(), testIndex, 0, []storage.Range{{Begin: 0, End: 1 << 10}, {Begin: 1 << 10, End: 1 << 19}})
			if len(held) != 256 || len(held[255].Spans) != 2 || len(held[255].Spans[0]) != 1 || len(held[255].Spans[1]) != 0 {
				return fmt.Errorf("got %d shares", len(held))
			}
			return err
		}},
		{"all bytes of a slot", storage.ErrBusy, 1 << 20, func() error {
			_, err := c.Slot(t.Context(), large, storage.SlotRequest{Message: agree.Read{}, Fetch: each})
			return err
		}},
		{"all bytes of a slot, as Tahoe-LAFS asks", storage.ErrBusy, 1 << 20, func() error {
			_, _, err := c.ReadTestWrite(t.Context(), large, enabler, lease, nil, []storage.Span{{Size: each}})
			return err
		}},
		{"some bytes of a slot", nil, 3 << 20, func() error {
			a, err := c.Slot(t.Context(), large, storage.SlotRequest{Message: agree.Read{}, Fetch: each, Numbers: []storage.ShareNumber{7}})
			if len(a.Current[7].Data) != each {
				return fmt.Errorf("got %d bytes", len(a.Current[7].Data))
			}
			return err
		}},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := tt.call()
		runtime.ReadMemStats(&after)
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
		if grew := after.TotalAlloc - before.TotalAlloc; grew > tt.most {
			t.Errorf("%s: it costs %d bytes, want at most %d", tt.name, grew, tt.most)
		}
	}
}
