package mux

import (
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-yamux/v4"
)

// Whatever sessions did and however they ended, nothing stays counted.
func TestBudgetReturnsToZero(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/refuse":
			w.WriteHeader(http.StatusUnauthorized)
		case "/slow":
			time.Sleep(3 * time.Second)
		case "/part":
			io.ReadFull(r.Body, make([]byte, 5000))
		default:
			io.Copy(io.Discard, r.Body)
		}
	})
	for seed := range uint64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rnd := rand.New(rand.NewPCG(seed, 1))
				s := newServer(h, ServerConfig{Budget: NewBudget(BudgetConfig{Bytes: 1 << 20})})
				for range 4 {
					here, there := net.Pipe()
					if err := s.serve(there, s.all.Admit(func() { there.Close() })); err != nil {
						t.Fatal(err)
					}
					play(t, rnd, here)
				}
				time.Sleep(time.Minute)
				s.closeAll()
				s.wg.Wait()
				if b := s.all.bytes; b.total != 0 || b.strangers != 0 || len(b.holders) != 0 {
					t.Errorf("still counted: %d, of strangers %d, holders %d", b.total, b.strangers, len(b.holders))
				}
				if b := s.all; len(b.places) != 0 || b.strangers != 0 || b.streams != 0 || b.alien != 0 || len(b.groups) != 0 {
					t.Errorf("still counted: %d places, of strangers %d, streams %d, of strangers %d, groups %d", len(b.places), b.strangers, b.streams, b.alien, len(b.groups))
				}
			})
		})
	}
}

// play is a client that does this and that and leaves in one way or another.
func play(t *testing.T, rnd *rand.Rand, c net.Conn) {
	cc := newCircuit(c, &beat{})
	y, err := clientSession(cc, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer y.Close()
	var open []*yamux.Stream
	for range 1 + rnd.IntN(80) {
		st, err := y.OpenStream(t.Context())
		if err != nil {
			break
		}
		open = append(open, st)
		path := []string{"/", "/refuse", "/slow", "/part"}[rnd.IntN(4)]
		st.SetWriteDeadline(time.Now().Add(time.Second))
		fmt.Fprintf(st, "POST %s HTTP/1.1\r\nHost: lafs\r\nContent-Length: 60000\r\n\r\n", path)
		st.Write(make([]byte, rnd.IntN(60001)))
		switch rnd.IntN(4) {
		case 0:
			st.Reset()
		case 1:
			st.Close()
		case 2:
			st.CloseWrite()
		}
	}
	if rnd.IntN(2) == 0 { // a frame that does not end
		cc.Write([]byte{0, 0, 0, 1, 0, 0, 0, 201, 0, 1, 0, 0, 'x'})
	}
	if rnd.IntN(2) == 0 {
		time.Sleep(10 * time.Second)
	}
}
