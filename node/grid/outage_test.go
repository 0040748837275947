package grid_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"lafs/node/grid"
	"lafs/node/nodetest"
	"lafs/onion"
	"lafs/onion/oniontest"
)

// An upload under way waits while Tor is down, or nobody is reached, tells so,
// and goes on with what servers hold.
func TestUploadOutlastsOutage(t *testing.T) {
	for name, fault := range map[string]oniontest.Faults{
		"Tor is down":          {TorDown: true},
		"nothing gets through": {LoseIn: true, LoseOut: true},
	} {
		for _, lasts := range []time.Duration{20 * time.Second, 4 * time.Minute} {
			t.Run(name+" "+lasts.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					g := nodetest.New(t, nodetest.Options{Happy: 5, Net: oniontest.Options{RTT: 300 * time.Millisecond, Bandwidth: 100_000}})
					c := g.Clients[0]
					data := content(8_000_000)
					var waited, back time.Time
					waits, out := 0, false
					res, err := c.Upload(t.Context(), nodetest.Bytes(data), grid.UploadOptions{Progress: func(p grid.Progress) {
						if p.Phase == "waiting for Tor" {
							waited = time.Now()
							waits++
						}
						if p.Phase != "sending" || out || p.Done < p.Total/2 {
							return
						}
						out = true
						c.Host.Faults(fault)
						if fault.TorDown {
							c.Host.CutAll()
						}
						time.AfterFunc(lasts, func() {
							back = time.Now()
							c.Host.Faults(oniontest.Faults{})
							c.Host.CutAll() // a connection that lost bytes does not go on
						})
					}})
					if err != nil || res.Happiness != 5 {
						t.Fatalf("%+v, %v", res, err)
					}
					if fault.TorDown && waits == 0 || waited.After(back.Add(time.Minute)) {
						t.Errorf("told %d times, last %v after the end", waits, waited.Sub(back))
					}
					// What was lost on the way is sent again, what arrived is not.
					total := int64(len(data)) * 10 / 3
					if sent := c.Host.Counters().Out; fault.TorDown && sent > total+total*4/10 {
						t.Errorf("%d bytes were sent for shares of %d", sent, total)
					}
					if took := time.Since(back); took > 4*time.Minute {
						t.Errorf("it ended %v after the network was back", took)
					}
					if got, err := c.Get(t.Context(), res.Cap); err != nil || !bytes.Equal(got, data) {
						t.Errorf("got %d bytes, %v", len(got), err)
					}
				})
			})
		}
	}
}

// It does not wait for ever, and ends at once with its context.
func TestUploadGivesAnOutageUp(t *testing.T) {
	for _, patient := range []time.Duration{time.Minute, 24 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			g := nodetest.New(t, nodetest.Options{Happy: 5, Net: oniontest.Options{RTT: 300 * time.Millisecond, Bandwidth: 100_000}})
			c := g.Clients[0]
			ctx, cancel := context.WithTimeout(t.Context(), patient)
			defer cancel()
			out := false
			began := time.Now()
			_, err := c.Upload(ctx, nodetest.Bytes(content(8_000_000)), grid.UploadOptions{Progress: func(p grid.Progress) {
				if p.Phase == "sending" && !out && p.Done > p.Total/2 {
					out = true
					c.Host.Faults(oniontest.Faults{TorDown: true})
					c.Host.CutAll()
				}
			}})
			took := time.Since(began)
			if patient == time.Minute {
				if !errors.Is(err, context.DeadlineExceeded) || took > patient+time.Second {
					t.Errorf("got %v after %v, want the context's end", err, took)
				}
				return
			}
			if !errors.Is(err, onion.ErrTorDown) && !asksForTor(err) || took < 10*time.Minute || took > 40*time.Minute {
				t.Errorf("got %v after %v", err, took)
			}
		})
	}
}

func asksForTor(err error) bool {
	var unhappy *grid.UnhappyError
	return errors.As(err, &unhappy) && errors.Is(unhappy.Network, onion.ErrTorDown)
}
