package update_test

import (
	"bytes"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"lafs/node/update"
	"lafs/shares/mutable"
)

// Servers that show a share and then do not give the rest of it, because
// they fail or say nothing any more, are done without: a reading takes other
// shares, and does not wait for a request to time out.
func TestReadPastSilent(t *testing.T) {
	const rtt = 500 * time.Millisecond
	for _, format := range []mutable.Format{mutable.SDMF, mutable.MDMF} {
		for _, f := range []fault{dead, stalled} {
			t.Run(fmt.Sprint(format, " fault ", f), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					g := newMemGrid(5, rtt, 1)
					a := g.engine(3, 5, 1)
					defer a.Close()
					data := bytes.Repeat([]byte("content "), 100_000)
					w, err := a.Create(t.Context(), update.CreateOptions{Key: keys()[0], Format: &format}, data)
					if err != nil {
						t.Fatal(err)
					}
					synctest.Wait()
					for i := range 3 {
						for _, s := range g.servers {
							s.setRest(healthy)
						}
						// Two of the five: the others are just enough.
						g.servers[i].setRest(f)
						g.servers[i+2].setRest(f)
						e := g.engine(3, 5, uint64(10+i))
						began := time.Now()
						got, err := e.Read(t.Context(), w.ReadOnly())
						if err != nil || !bytes.Equal(got.Data, data) {
							t.Fatalf("%d bytes, %v", len(got.Data), err)
						}
						if took := time.Since(began); took > 12*rtt {
							t.Errorf("Read took %v, at %v a trip", took, rtt)
						}
						began = time.Now()
						part, _, err := e.ReadRange(t.Context(), w.ReadOnly(), 300_000, 1000)
						if err != nil || !bytes.Equal(part, data[300_000:301_000]) {
							t.Fatalf("ReadRange: %d bytes, %v", len(part), err)
						}
						if took := time.Since(began); took > 12*rtt {
							t.Errorf("ReadRange took %v, at %v a trip", took, rtt)
						}
						e.Close()
					}
				})
			})
		}
	}
}
