package grid_test

import (
	"bytes"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"lafs/node/nodetest"
	"lafs/onion/oniontest"
)

// What servers have already is sent in vain to a part at most, and not at all
// by the upload after one that found something.
func TestBeginWastesLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := nodetest.New(t, nodetest.Options{Clients: 2, Net: oniontest.Options{RTT: 300 * time.Millisecond, Windows: true}})
		there := [][]byte{content(10 << 20), content(10<<20 + 1)}
		for _, data := range append(there, content(10<<20+2)) {
			if _, err := g.Clients[0].Put(t.Context(), data); err != nil {
				t.Fatal(err)
			}
		}
		c := g.Clients[1]
		for i := range 3 {
			if _, err := c.Put(t.Context(), content(5<<20+i)); err != nil {
				t.Fatal(err)
			}
		}
		for i, data := range there {
			before := c.Host.Counters().Out
			res, err := c.PutSource(t.Context(), nodetest.Bytes(data))
			if err != nil || res.Found != 10 || res.Pushed != 0 {
				t.Fatalf("%+v, %v", res, err)
			}
			time.Sleep(time.Minute)
			sent, most := c.Host.Counters().Out-before, int64(20_000)
			if i == 0 {
				most = int64(len(data)) * 10 / 3 * 3 / 10
			}
			t.Logf("%d bytes sent", sent)
			if sent > most {
				t.Errorf("upload %d of what was there: %d bytes sent, want at most %d", i, sent, most)
			}
		}
	})
}

// Servers that do not agree to what was begun, or do not know how to begin,
// cost an upload nothing but time.
func TestBeginInVain(t *testing.T) {
	for name, answer := range map[string]func(r *http.Request, begins int32) int{
		"unknown request":    func(*http.Request, int32) int { return http.StatusNotFound },
		"fault":              func(*http.Request, int32) int { return http.StatusInternalServerError },
		"some are refused":   func(_ *http.Request, begins int32) int { return map[bool]int{true: http.StatusConflict}[begins%2 == 0] },
		"servers without it": nil,
		"a server that dies": nil,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := nodetest.New(t, nodetest.Options{Needed: 2, Happy: 3, Total: 5, MaxSegmentSize: 128 << 10, Net: oniontest.Options{RTT: 300 * time.Millisecond}})
				c := g.Clients[0]
				warm := func() {
					if _, err := c.Put(t.Context(), content(1_000_000)); err != nil {
						t.Fatal(err)
					}
				}
				if name != "servers without it" {
					warm()
				}
				var begins atomic.Int32
				for i, s := range g.Servers {
					s.Hostile(func(honest http.Handler) http.Handler {
						return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
							if strings.HasPrefix(r.URL.Path, "/lafs/v1/begin/") {
								n := begins.Add(1)
								if answer != nil {
									if status := answer(r, n); status != 0 {
										w.WriteHeader(status)
										return
									}
								}
							}
							if name == "servers without it" && strings.HasPrefix(r.URL.Path, "/lafs/") {
								w.WriteHeader(http.StatusNotFound)
								return
							}
							honest.ServeHTTP(w, r)
						})
					})
					if name == "a server that dies" && i == 2 {
						s.Kill()
					}
				}
				if name == "servers without it" {
					warm()
				}
				data := content(3_000_000)
				res, err := c.PutSource(t.Context(), nodetest.Bytes(data))
				if err != nil || res.Happiness < 4 {
					t.Fatalf("%+v, %v", res, err)
				}
				if (begins.Load() == 0) != (name == "servers without it") {
					t.Errorf("%d writes asked for space themselves", begins.Load())
				}
				if got, err := c.Get(t.Context(), res.Cap); err != nil || !bytes.Equal(got, data) {
					t.Errorf("got %d bytes, %v", len(got), err)
				}
			})
		})
	}
}
