package grid_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"lafs/node/grid"
	"lafs/node/nodetest"
	"lafs/onion/oniontest"
	"lafs/shares/caps"
	"lafs/shares/storage"
)

var checkNet = oniontest.Options{RTT: 300 * time.Millisecond}

// mustCheck checks with the verify cap alone.
func mustCheck(t *testing.T, c *nodetest.Client, cap caps.Cap, opts grid.CheckOptions) *grid.CheckResult {
	t.Helper()
	res, err := c.Check(t.Context(), cap.Verifier(), opts)
	if err != nil {
		t.Fatalf("Check: %v", err)
	}
	return res
}

func mustPut(t *testing.T, c *nodetest.Client, data []byte) caps.Cap {
	t.Helper()
	cap, err := c.Put(t.Context(), data)
	if err != nil {
		t.Fatal(err)
	}
	return cap
}

func mustGet(t *testing.T, c *nodetest.Client, cap caps.Cap, want []byte) {
	t.Helper()
	got, err := c.Get(t.Context(), cap)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("get: %d bytes, %v; want %d", len(got), err, len(want))
	}
}

// A check without verification is one trip, with leases or without.
func TestCheckTrips(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := nodetest.New(t, nodetest.Options{Net: oniontest.Options{RTT: time.Second}})
		cap := mustPut(t, g.Clients[0], content(2_000_000))
		for _, opts := range []grid.CheckOptions{{}, {AddLease: true}, {Repair: true}} {
			trips := g.Net.Trips(func() {
				if res := mustCheck(t, g.Clients[0], cap, opts); !res.Healthy || res.Summary != "Healthy" {
					t.Errorf("%+v", res)
				}
			})
			if trips != 1 {
				t.Errorf("%+v: %d trips, want 1", opts, trips)
			}
		}
	})
}

func TestCheckResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := nodetest.New(t, nodetest.Options{Net: checkNet})
		cap := mustPut(t, g.Clients[0], content(10_000))
		res := mustCheck(t, g.Clients[0], cap, grid.CheckOptions{})
		if !res.Healthy || !res.Recoverable || res.Good != 10 || res.Needed != 3 || res.Expected != 10 || res.Happiness != 5 ||
			res.GoodHosts != 5 || len(res.Responding) != 5 || len(res.Sharemap) != 10 || res.RecoverableVersions != 1 ||
			res.UnrecoverableVersions != 0 || len(res.Corrupt) != 0 || res.Repair != nil || res.Index != cap.(*caps.CHK).StorageIndex() {
			t.Errorf("all is well: %+v", res)
		}
		g.Servers[0].Kill()
		g.Servers[1].Kill()
		res = mustCheck(t, g.Clients[0], cap, grid.CheckOptions{})
		if res.Healthy || !res.Recoverable || res.Good != 6 || res.Happiness != 3 || res.GoodHosts != 3 || len(res.Responding) != 3 ||
			slices.Contains(res.Responding, g.Servers[0].ID) || res.Summary != "Not Healthy: 6 shares (enc 3-of-10)" {
			t.Errorf("two dead: %+v", res)
		}
		g.Servers[2].Kill()
		g.Servers[3].Kill()
		res = mustCheck(t, g.Clients[0], cap, grid.CheckOptions{Repair: true})
		if res.Recoverable || res.RecoverableVersions != 0 || res.UnrecoverableVersions != 1 || res.Good != 2 {
			t.Errorf("four dead: %+v", res)
		}
		var few *grid.NotEnoughSharesError
		if r := res.Repair; r == nil || !r.Attempted || r.Successful || !errors.As(r.Err, &few) {
			t.Errorf("repair with four dead: %+v", r)
		}
	})
}

func TestCheckOtherCaps(t *testing.T) {
	tg := newGrid(t, 3, 1, 3, 3)
	lit, err := tg.Check(t.Context(), caps.NewLIT([]byte("short")), grid.CheckOptions{Repair: true})
	if err != nil || !lit.Literal || !lit.Healthy || lit.Repair == nil || lit.Repair.Attempted {
		t.Errorf("literal: %+v, %v", lit, err)
	}
	cap := tg.put(t, content(1000)).Cap
	dir, err := caps.NewDirectory(cap)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []caps.Cap{cap, cap.Verifier(), dir, dir.Verifier()} {
		if res, err := tg.Check(t.Context(), c, grid.CheckOptions{Verify: true}); err != nil || !res.Healthy {
			t.Errorf("%s: %+v, %v", c.Kind(), res, err)
		}
	}
	if _, err := tg.Check(t.Context(), &caps.MutableVerifier{}, grid.CheckOptions{}); !errors.Is(err, grid.ErrNotImmutable) {
		t.Errorf("mutable: %v, want ErrNotImmutable", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := tg.Check(ctx, cap, grid.CheckOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestCheckAddsLeases(t *testing.T) {
	tg := newGrid(t, 4, 1, 2, 2)
	cap := tg.put(t, content(1000)).Cap
	if _, err := tg.Check(t.Context(), cap, grid.CheckOptions{AddLease: true}); err != nil {
		t.Fatal(err)
	}
	leases := 0
	for _, m := range tg.servers {
		m.mu.Lock()
		leases += m.leases
		m.mu.Unlock()
	}
	if leases != 2 {
		t.Errorf("%d leases were renewed, want those at the 2 servers with shares", leases)
	}
}

// A bit that is wrong anywhere is found, told to the server, and made good
// elsewhere.
func TestVerifyAndRepair(t *testing.T) {
	for _, at := range []int64{0x10, 0x24, 200_000, 1<<40 + 17} {
		synctest.Test(t, func(t *testing.T) {
			g := nodetest.New(t, nodetest.Options{Servers: 7, Clients: 2, Needed: 3, Happy: 6, Total: 6, MaxSegmentSize: 128 << 10, Net: checkNet})
			data := content(3_000_000)
			cap := mustPut(t, g.Clients[0], data)
			var bad *nodetest.Server
			for _, s := range g.Servers {
				if len(s.ShareFiles()) > 0 {
					bad = s
					break
				}
			}
			number := bad.ShareFiles()[0].Number
			if err := bad.Corrupt(at); err != nil {
				t.Fatal(err)
			}
			advised := countAdvice(bad)
			if res := mustCheck(t, g.Clients[1], cap, grid.CheckOptions{}); !res.Healthy {
				t.Errorf("a check that does not read: %+v", res)
			}
			res := mustCheck(t, g.Clients[1], cap, grid.CheckOptions{Verify: true, Repair: true})
			want := grid.CorruptShare{ServerID: bad.ID, Index: cap.(*caps.CHK).StorageIndex(), Number: number}
			if res.Healthy || !res.Recoverable || res.Good != 5 || len(res.Corrupt) != 1 || res.Corrupt[0] != want {
				t.Fatalf("byte %d: %+v", at, res)
			}
			r := res.Repair
			if !r.Attempted || !r.Successful || r.Err != nil || !r.After.Healthy || r.After.Happiness != 6 || len(r.After.Corrupt) != 1 {
				t.Fatalf("byte %d: repair %+v, after %+v", at, r, r.After)
			}
			if slices.Contains(r.After.Sharemap[number], bad.ID) {
				t.Error("the corrupt share counts as good")
			}
			synctest.Wait()
			time.Sleep(time.Minute)
			if advised.Load() == 0 {
				t.Error("the server was not told")
			}
			if again := mustCheck(t, g.Clients[1], cap, grid.CheckOptions{Verify: true}); !again.Healthy || again.Happiness != 6 {
				t.Errorf("verified again: %+v", again)
			}
		})
	}
}

// A server with corrupt shares takes others, and what it says that it has
// already is not taken for good.
func TestRepairAtTheCorruptServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := nodetest.New(t, nodetest.Options{Servers: 3, Needed: 2, Happy: 3, Total: 6, Net: checkNet})
		data := content(100_000)
		cap := mustPut(t, g.Clients[0], data)
		g.Servers[1].Kill()
		if err := g.Servers[0].Corrupt(0x24); err != nil {
			t.Fatal(err)
		}
		res := mustCheck(t, g.Clients[0], cap, grid.CheckOptions{Verify: true, Repair: true})
		if res.Good != 2 || len(res.Corrupt) != 2 || !res.Repair.Successful || res.Repair.After.Happiness != 2 {
			t.Fatalf("%+v, repair %+v", res, res.Repair)
		}
		again := mustCheck(t, g.Clients[0], cap, grid.CheckOptions{Verify: true})
		if !again.Healthy || again.Happiness != 2 || len(again.Corrupt) != 2 {
			t.Errorf("verified again: %+v", again)
		}
		g.Servers[2].Kill()
		mustGet(t, g.Clients[0], cap, data)
	})
}

// A corrupt share that a check did not see is met by the repair, and its
// number is placed elsewhere too.
func TestRepairMeetsCorruption(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := nodetest.New(t, nodetest.Options{Servers: 6, Needed: 2, Happy: 4, Total: 4, Net: checkNet})
		data := content(100_000)
		cap := mustPut(t, g.Clients[0], data)
		var holders []*nodetest.Server
		for _, s := range g.Servers {
			if len(s.ShareFiles()) > 0 {
				holders = append(holders, s)
			}
		}
		holders[0].Kill()
		for _, s := range holders[1:] {
			if s.ShareFiles()[0].Number < 2 {
				if err := s.Corrupt(0x24); err != nil {
					t.Fatal(err)
				}
				break
			}
		}
		res := mustCheck(t, g.Clients[0], cap, grid.CheckOptions{Repair: true})
		if res.Good != 3 || len(res.Corrupt) != 0 || !res.Repair.Successful || len(res.Repair.After.Corrupt) != 1 || res.Repair.After.Happiness != 4 {
			t.Fatalf("%+v, repair %+v, after %+v", res, res.Repair, res.Repair.After)
		}
		if again := mustCheck(t, g.Clients[0], cap, grid.CheckOptions{Verify: true}); !again.Healthy || again.Happiness != 4 {
			t.Errorf("verified again: %+v", again)
		}
	})
}

// Servers that fail in mid-repair, on either side of it, are replaced.
func TestRepairWithFaults(t *testing.T) {
	for name, fault := range map[string]func(context.Context, string) error{
		"dead": down, "stalled": stall,
		"full": func(context.Context, string) error { return storage.ErrNoSpace },
	} {
		for _, call := range []string{"allocate", "write", "read"} {
			t.Run(name+" on "+call, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					tg := newGrid(t, 8, 2, 5, 5)
					data := content(300_000)
					res := tg.put(t, data)
					var spare, holding []*memServer
					for _, m := range tg.servers {
						if m.count() > 0 {
							holding = append(holding, m)
						} else {
							spare = append(spare, m)
						}
					}
					holding[0].setFault(down)
					holding[1].setFault(down)
					sick := spare[0]
					if call == "read" {
						sick = holding[2]
					}
					sick.setFault(after(1, call, fault))
					began := time.Now()
					before, err := tg.Check(t.Context(), res.Cap.Verifier(), grid.CheckOptions{Repair: true})
					if err != nil {
						t.Fatal(err)
					}
					r := before.Repair
					if before.Good != 3 || !r.Successful || r.After.Good != 5 || r.After.Happiness < 4 {
						t.Errorf("%+v, repair %+v, after %+v", before, r, r.After)
					}
					if took := time.Since(began); took > 15*time.Minute {
						t.Errorf("it took %v", took)
					}
					sick.setFault(nil)
					tg.check(t, res.Cap, data)
				})
			})
		}
	}
}

// Shares that lack nothing but a place are a repair that fails and says so.
func TestRepairWithoutRoom(t *testing.T) {
	tg := newGrid(t, 3, 1, 3, 3)
	res := tg.put(t, content(1000))
	for i, m := range tg.servers {
		m.setFault(func(_ context.Context, call string) error {
			if call == "allocate" {
				return storage.ErrNoSpace
			}
			if i == 0 {
				return storage.ErrUnauthorized
			}
			return nil
		})
	}
	before, err := tg.Check(t.Context(), res.Cap, grid.CheckOptions{Repair: true})
	if err != nil {
		t.Fatal(err)
	}
	if r := before.Repair; !r.Attempted || r.Successful || r.Err == nil || r.After.Good != 2 || r.After.Healthy {
		t.Errorf("repair %+v, after %+v", r, r.After)
	}
}

// countAdvice counts the server's reports of corruption.
func countAdvice(s *nodetest.Server) *atomic.Int32 {
	count := new(atomic.Int32)
	s.Hostile(func(honest http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/corrupt") {
				count.Add(1)
			}
			honest.ServeHTTP(w, r)
		})
	})
	return count
}

// Two of seven servers die for good. After the repair two others die, and
// the file still reads.
func TestRepairThenTwoOthersDie(t *testing.T) {
	for _, size := range []int{1000, 400_000, 12_000_000} {
		synctest.Test(t, func(t *testing.T) {
			g := nodetest.New(t, nodetest.Options{Servers: 7, Needed: 3, Happy: 5, Total: 5, Net: checkNet})
			data := content(size)
			cap := mustPut(t, g.Clients[0], data)
			var holders []*nodetest.Server
			for _, s := range g.Servers {
				if len(s.ShareFiles()) > 0 {
					holders = append(holders, s)
				}
			}
			if len(holders) != 5 {
				t.Fatalf("%d servers hold shares", len(holders))
			}
			holders[0].Kill()
			holders[1].Kill()
			res := mustCheck(t, g.Clients[0], cap, grid.CheckOptions{Repair: true})
			r := res.Repair
			if res.Good != 3 || !r.Attempted || !r.Successful || r.After.Happiness != 5 || r.After.Good != 5 || r.After.GoodHosts != 5 {
				t.Fatalf("%d bytes: %+v, repair %+v, after %+v", size, res, r, r.After)
			}
			holders[2].Kill()
			holders[3].Kill()
			mustGet(t, g.Clients[0], cap, data)
		})
	}
}

// Copies that a lone server holds are spread when others come.
func TestRepairSpreads(t *testing.T) {
	tg := newGrid(t, 5, 2, 5, 5)
	data := content(50_000)
	for _, m := range tg.servers[1:] {
		m.setFault(down)
	}
	res, err := tg.Upload(t.Context(), bytesSource(data), grid.UploadOptions{Happy: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range tg.servers {
		m.setFault(nil)
	}
	before, err := tg.Check(t.Context(), res.Cap, grid.CheckOptions{Repair: true})
	if err != nil || !before.Healthy || before.Happiness != 1 || !before.Repair.Attempted || before.Repair.After.Happiness != 5 {
		t.Fatalf("%+v, %v", before, err)
	}
	tg.servers[0].setFault(func(context.Context, string) error { return errFull })
	tg.check(t, res.Cap, data)
}

// Servers that lie, stall and break when they are verified do not count, and
// the check ends.
func TestCheckHostileServers(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"garbage": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/cbor")
			w.Write(bytes.Repeat([]byte{0xd9, 0x01, 0x02, 0x9f}, 1000))
		},
		"stalls": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"error":  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"zeros": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/octet-stream")
			w.Header().Set("Content-Range", "bytes 0-9999/*")
			w.WriteHeader(http.StatusPartialContent)
			w.Write(make([]byte, 10_000))
		},
	} {
		for _, readsOnly := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					g := nodetest.New(t, nodetest.Options{Needed: 2, Happy: 3, MaxSegmentSize: 128 << 10, Net: checkNet})
					data := content(400_000)
					cap := mustPut(t, g.Clients[0], data)
					for _, s := range g.Servers[:2] {
						s.Hostile(func(honest http.Handler) http.Handler {
							return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
								if readsOnly && r.Header.Get("Range") == "" {
									honest.ServeHTTP(w, r)
									return
								}
								answer(w, r)
							})
						})
					}
					began := time.Now()
					res := mustCheck(t, g.Clients[0], cap, grid.CheckOptions{Verify: true, Repair: true})
					if res.Good != 6 || res.GoodHosts != 3 || !res.Repair.Successful || res.Repair.After.Good != 10 {
						t.Errorf("%+v, repair %+v", res, res.Repair)
					}
					if took := time.Since(began); took > 20*time.Minute {
						t.Errorf("it took %v", took)
					}
					g.Servers[0].Kill()
					g.Servers[1].Kill()
					mustGet(t, g.Clients[0], cap, data)
				})
			})
		}
	}
}
