package grid_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"lafs/node/grid"
	"lafs/node/nodetest"
	"lafs/onion/oniontest"
	"lafs/shares/caps"
)

// Trips on warm sessions. A small file takes one each way: shares go out with
// the first question, and come with the first answer. An upload of a larger
// one takes one to ask all servers for space and one to write; a download's first
// parts come with the answer to what servers hold.
func TestTrips(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := nodetest.New(t, nodetest.Options{Clients: 2, Net: oniontest.Options{RTT: time.Second}})
		var warm caps.Cap
		var err error
		for _, size := range []int{10_000, 10_000_000} {
			if warm, err = g.Clients[0].Put(t.Context(), content(size)); err != nil {
				t.Fatal(err)
			}
			if _, err := g.Clients[1].Get(t.Context(), warm); err != nil {
				t.Fatal(err)
			}
		}
		for _, tt := range []struct{ size, put, get int }{{56, 1, 1}, {1 << 10, 1, 1}, {100_000, 1, 1}, {1 << 20, 2, 1}, {4 << 20, 2, 1}} {
			size, data := tt.size, content(tt.size)
			put := g.Net.Trips(func() {
				if warm, err = g.Clients[0].Put(t.Context(), data); err != nil {
					t.Fatal(err)
				}
			})
			get := g.Net.Trips(func() {
				if got, err := g.Clients[1].Get(t.Context(), warm); err != nil || !bytes.Equal(got, data) {
					t.Fatalf("%d bytes, %v", len(got), err)
				}
			})
			if put != tt.put || get != tt.get {
				t.Errorf("%d bytes: put %d trips, get %d, want %d and %d", size, put, get, tt.put, tt.get)
			}
		}
	})
}

func TestSizesOverTheNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := nodetest.New(t, nodetest.Options{Clients: 2, MaxSegmentSize: 30_000, Net: oniontest.Options{RTT: 300 * time.Millisecond, Jitter: 100 * time.Millisecond}})
		for _, size := range []int{0, 1, 55, 56, 29_999, 30_000, 30_001, 60_000, 1_000_000} {
			data := content(size)
			cap, err := g.Clients[0].Put(t.Context(), data)
			if err != nil {
				t.Fatalf("put %d bytes: %v", size, err)
			}
			got, err := g.Clients[1].Get(t.Context(), cap)
			if err != nil || !bytes.Equal(got, data) {
				t.Fatalf("get %d bytes: %d, %v", size, len(got), err)
			}
		}
	})
}

// Two of five servers are dead and the shares of a third are corrupt.
func TestTwoDeadOneCorrupt(t *testing.T) {
	for _, at := range []int64{0, 0x24, 20_000, 1 << 40} {
		synctest.Test(t, func(t *testing.T) {
			g := nodetest.New(t, nodetest.Options{Clients: 2, MaxSegmentSize: 128 << 10, Net: oniontest.Options{RTT: 300 * time.Millisecond}})
			data := content(1_000_000)
			cap, err := g.Clients[0].Put(t.Context(), data)
			if err != nil {
				t.Fatal(err)
			}
			g.Servers[0].Kill()
			g.Servers[1].Kill()
			if err := g.Servers[2].Corrupt(at); err != nil {
				t.Fatal(err)
			}
			got, err := g.Clients[1].Get(t.Context(), cap)
			if err != nil || !bytes.Equal(got, data) {
				t.Fatalf("got %d bytes, %v", len(got), err)
			}
			// One more, and the file is out of reach, until it comes back.
			g.Servers[3].Kill()
			_, err = g.Clients[1].Get(t.Context(), cap)
			var few *grid.NotEnoughSharesError
			if !errors.As(err, &few) || few.Found != 2 || !strings.Contains(err.Error(), "server3") {
				t.Fatalf("got %v", err)
			}
			if err := g.Servers[3].Start(); err != nil {
				t.Fatal(err)
			}
			// The session pool does not dial yet, but the get asks again.
			if got, err := g.Clients[1].Get(t.Context(), cap); err != nil || !bytes.Equal(got, data) {
				t.Fatalf("got %d bytes, %v", len(got), err)
			}
		})
	}
}

// Servers that do not keep to the protocol.
func TestHostileServers(t *testing.T) {
	garbage := bytes.Repeat([]byte{0xd9, 0x01, 0x02, 0x9f}, 1000)
	for name, answer := range map[string]http.HandlerFunc{
		"garbage": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/cbor")
			w.Write(garbage)
		},
		"endless": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/cbor")
			for r.Context().Err() == nil {
				if _, err := w.Write(garbage); err != nil {
					return
				}
			}
		},
		"endless share": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/octet-stream")
			w.Header().Set("Content-Range", "bytes 0-99999999999/*")
			w.WriteHeader(http.StatusPartialContent)
			for r.Context().Err() == nil {
				if _, err := w.Write(garbage); err != nil {
					return
				}
			}
		},
		"all shares": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/cbor")
			body := []byte{0xd9, 0x01, 0x02, 0x99, 0x01, 0x00}
			for i := range 256 {
				if i < 24 {
					body = append(body, byte(i))
				} else {
					body = append(body, 0x18, byte(i))
				}
			}
			w.Write(body)
		},
		"short": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100000")
			w.Write(garbage)
		},
		"nothing": func(_ http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body) // without which net/http does not see the stream end
			<-r.Context().Done()
		},
		"error": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
	} {
		for _, reads := range []bool{false, true} {
			label := name
			if reads {
				label += " on reads"
			}
			t.Run(label, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					g := nodetest.New(t, nodetest.Options{Happy: 3, Needed: 2, MaxSegmentSize: 128 << 10, Net: oniontest.Options{RTT: 300 * time.Millisecond}})
					before := content(400_000)
					old, err := g.Clients[0].Put(t.Context(), before)
					if err != nil {
						t.Fatal(err)
					}
					for _, s := range g.Servers[:2] {
						s.Hostile(func(honest http.Handler) http.Handler {
							if !reads {
								return answer
							}
							return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
								if r.Method == http.MethodGet && r.Header.Get("Range") != "" {
									answer(w, r)
									return
								}
								honest.ServeHTTP(w, r)
							})
						})
					}
					began := time.Now()
					if got, err := g.Clients[0].Get(t.Context(), old); err != nil || !bytes.Equal(got, before) {
						t.Fatalf("get: %d bytes, %v", len(got), err)
					}
					data := content(300_000)
					cap, err := g.Clients[0].Put(t.Context(), data)
					if err != nil {
						t.Fatalf("put: %v", err)
					}
					if got, err := g.Clients[0].Get(t.Context(), cap); err != nil || !bytes.Equal(got, data) {
						t.Fatalf("get: %d bytes, %v", len(got), err)
					}
					if took := time.Since(began); took > 3*time.Minute {
						t.Errorf("it took %v", took)
					}
				})
			})
		}
	}
}

func TestFewServersAndHappinessOverTheNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := nodetest.New(t, nodetest.Options{Servers: 3, Happy: 3, Net: oniontest.Options{RTT: 300 * time.Millisecond}})
		data := content(50_000)
		cap, err := g.Clients[0].Put(t.Context(), data)
		if err != nil {
			t.Fatal(err)
		}
		g.Servers[0].Kill()
		if got, err := g.Clients[0].Get(t.Context(), cap); err != nil || !bytes.Equal(got, data) {
			t.Fatalf("got %d bytes, %v", len(got), err)
		}
		_, err = g.Clients[0].Put(t.Context(), content(50_001))
		var unhappy *grid.UnhappyError
		if !errors.As(err, &unhappy) || unhappy.Happiness != 2 || !strings.Contains(err.Error(), "not usable: server0") {
			t.Fatalf("got %v", err)
		}
	})
}

// progressSource calls f once when so much has been read in the second pass.
type progressSource struct {
	nodetest.Bytes
	opens atomic.Int32
	at    int
	f     func()
}

func (p *progressSource) Open() (io.ReadCloser, error) {
	r, err := p.Bytes.Open()
	if p.opens.Add(1) == 2 {
		head := io.LimitReader(r, int64(p.at))
		r = io.NopCloser(io.MultiReader(head, calling(p.f), r))
	}
	return r, err
}

type calling func()

func (c calling) Read([]byte) (int, error) { c(); return 0, io.EOF }

// Whatever is killed in mid-upload, the upload ends well, or does when it is
// tried again.
func TestKillInMidUpload(t *testing.T) {
	data := content(3_000_000)
	for name, kill := range map[string]func(g *nodetest.Grid, cancel func()){
		"a server":                   func(g *nodetest.Grid, _ func()) { g.Servers[1].Kill() },
		"a server that comes again":  func(g *nodetest.Grid, _ func()) { g.Servers[1].Kill(); g.Servers[1].Start() },
		"all servers, all come back": func(g *nodetest.Grid, _ func()) { restartAll(g) },
		"the client's connections":   func(g *nodetest.Grid, _ func()) { g.Clients[0].Host.CutAll() },
		"the client":                 func(g *nodetest.Grid, cancel func()) { g.Clients[0].Host.CutAll(); cancel() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := nodetest.New(t, nodetest.Options{Happy: 4, MaxSegmentSize: 128 << 10, Net: oniontest.Options{RTT: 300 * time.Millisecond}})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				src := &progressSource{Bytes: data, at: 2_000_000, f: func() { time.Sleep(time.Second); kill(g, cancel) }}
				res, err := g.Clients[0].PutSource(ctx, src)
				if name == "the client" {
					if !errors.Is(err, context.Canceled) {
						t.Fatalf("got %v, want context.Canceled", err)
					}
					res, err = g.Clients[0].PutSource(t.Context(), nodetest.Bytes(data))
				}
				if err != nil {
					t.Fatal(err)
				}
				if res.Happiness < 4 {
					t.Errorf("happiness %d", res.Happiness)
				}
				if got, err := g.Clients[0].Get(t.Context(), res.Cap); err != nil || !bytes.Equal(got, data) {
					t.Fatalf("got %d bytes, %v", len(got), err)
				}
			})
		})
	}
}

func restartAll(g *nodetest.Grid) {
	for _, s := range g.Servers {
		s.Kill()
		s.Start()
	}
}

// An upload that was broken off goes on with what the servers hold, to the
// byte: what they have is not sent again.
func TestResumeSendsTheRestOverTheNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := nodetest.New(t, nodetest.Options{Happy: 4, Net: oniontest.Options{RTT: 300 * time.Millisecond}})
		data := content(8_000_000)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		src := &progressSource{Bytes: data, at: 6_000_000, f: func() { time.Sleep(time.Minute); g.Clients[0].Host.CutAll(); cancel() }}
		if _, err := g.Clients[0].PutSource(ctx, src); !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v, want context.Canceled", err)
		}
		before := g.Clients[0].Host.Counters().Out
		res, err := g.Clients[0].PutSource(t.Context(), nodetest.Bytes(data))
		if err != nil {
			t.Fatal(err)
		}
		sent := int64(g.Clients[0].Host.Counters().Out - before)
		const block, shares = 349_526, 10
		total := int64(8_000_000) * shares / 3
		if want := total * 6 / 8 * 8 / 10; res.Saved < want {
			t.Errorf("%d bytes of %d were saved, want at least %d", res.Saved, total, want)
		}
		if sent > total-res.Saved+shares*block {
			t.Errorf("%d bytes were sent, though %d of %d were there", sent, res.Saved, total)
		}
		if got, err := g.Clients[0].Get(t.Context(), res.Cap); err != nil || !bytes.Equal(got, data) {
			t.Fatalf("got %d bytes, %v", len(got), err)
		}
	})
}

// An upload of what is there already sends no share bytes.
func TestAgainSendsNothingOverTheNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := nodetest.New(t, nodetest.Options{Clients: 2, Net: oniontest.Options{RTT: 300 * time.Millisecond}})
		data := content(1_000_000)
		if _, err := g.Clients[0].Put(t.Context(), data); err != nil {
			t.Fatal(err)
		}
		res, err := g.Clients[1].PutSource(t.Context(), nodetest.Bytes(data))
		if err != nil || res.Found != 10 || res.Pushed != 0 {
			t.Fatalf("%+v, %v", res, err)
		}
		if sent := g.Clients[1].Host.Counters().Out; sent > 20_000 {
			t.Errorf("the second client sent %d bytes", sent)
		}
	})
}
