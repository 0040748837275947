package gbs_test

import (
	"bytes"
	"context"
	"net/http"
	"sync/atomic"
	"testing"

	"lafs/node/store"
	"lafs/shares/caps"
	"lafs/shares/storage"
	"lafs/shares/storage/gbs"
)

// counting counts what a handler asks of its store for a read.
type counting struct {
	*store.Store
	opens, closes, reads atomic.Int64
}

func (c *counting) Open(ctx context.Context, kind storage.Kind, si caps.StorageIndex, n storage.ShareNumber) (storage.OpenShare, error) {
	c.opens.Add(1)
	s, err := c.Store.Open(ctx, kind, si, n)
	if err != nil {
		c.closes.Add(1)
		return nil, err
	}
	return countedShare{s, c}, nil
}

func (c *counting) Read(ctx context.Context, kind storage.Kind, si caps.StorageIndex, n storage.ShareNumber, offset int64, p []byte) (int, error) {
	c.reads.Add(1)
	return c.Store.Read(ctx, kind, si, n, offset, p)
}

type countedShare struct {
	storage.OpenShare
	of *counting
}

func (s countedShare) Close() error {
	s.of.closes.Add(1)
	return s.OpenShare.Close()
}

// TestReadOpensOnce: an answer opens its share once, however long it is, and
// closes it. A server that can not keep shares open gives the same bytes.
func TestReadOpensOnce(t *testing.T) {
	st := &counting{Store: openStore(t, nil)}
	data := bytes.Repeat([]byte("0123456789abcdef-"), 20_000)
	size := int64(len(data))
	si, up := caps.StorageIndex{1}, storage.GenerateUploadSecret()
	if _, err := st.Allocate(t.Context(), si, []storage.ShareNumber{3}, size, up, &storage.LeaseSecrets{}); err != nil {
		t.Fatal(err)
	}
	if missing, err := st.Write(t.Context(), si, 3, up, 0, data); err != nil || len(missing) > 0 {
		t.Fatal(missing, err)
	}
	for _, of := range []struct {
		name   string
		server storage.Server
	}{{"open", st}, {"not open", struct{ storage.Server }{st}}} {
		answered := make(chan struct{}, 1)
		h := gbs.NewHandler(gbs.HandlerConfig{Authorize: authorize(of.server)})
		c := gbs.NewClient(answering{t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer func() { answered <- struct{}{} }()
			h.ServeHTTP(w, r)
		})}, storage.NewSwissnum(swissnum))
		for _, tt := range []struct{ offset, length int64 }{
			{0, size}, {0, 1}, {1, 65536}, {65535, 65537}, {size - 1, 1}, {size - 1, 70_000}, {5, size + 100_000}, {size, 10}, {1<<63 - 20, 10},
		} {
			opens, reads := st.opens.Load(), st.reads.Load()
			p := make([]byte, tt.length)
			n, err := c.Read(t.Context(), storage.Immutable, si, 3, tt.offset, p)
			<-answered
			begin := min(tt.offset, size)
			if want := data[begin:min(begin+tt.length, size)]; err != nil || !bytes.Equal(p[:n], want) {
				t.Errorf("%s: read of %d at %d: got %d bytes, %v, want %d", of.name, tt.length, tt.offset, n, err, len(want))
			}
			opens, reads = st.opens.Load()-opens, st.reads.Load()-reads
			if of.name == "open" && (opens != 1 || reads != 0) || of.name != "open" && opens != 0 {
				t.Errorf("%s: read of %d at %d: the store was asked to open %d times, to read %d times", of.name, tt.length, tt.offset, opens, reads)
			}
		}
		if _, err := c.Read(t.Context(), storage.Immutable, si, 4, 0, make([]byte, 1)); err != storage.ErrNotFound {
			t.Errorf("%s: read of no share: got %v, want %v", of.name, err, storage.ErrNotFound)
		}
		<-answered
	}
	if o, c := st.opens.Load(), st.closes.Load(); o != c {
		t.Errorf("%d shares were opened, %d closed", o, c)
	}
}
