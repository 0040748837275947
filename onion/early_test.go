package onion_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"lafs/onion"
)

// Whatever an attempt has sent when the stream stands, the far end gets every
// byte once and in order.
func TestEarlyKeepsTheOrder(t *testing.T) {
	data := make([]byte, 3*onion.EarlyBytes)
	for i := range data {
		data[i] = byte(i * 7 / 3)
	}
	for _, sent := range []int{0, 1, 1000, onion.EarlyBytes} {
		synctest.Test(t, func(t *testing.T) {
			e := onion.NewEarly()
			go func() {
				for rest := data; len(rest) > 0; {
					n, err := e.Write(rest[:min(len(rest), 10_007)])
					if err != nil {
						t.Error(err)
						return
					}
					rest = rest[n:]
				}
			}()
			synctest.Wait()
			if got := e.Next(t.Context(), 0); !bytes.Equal(got, data[:onion.EarlyBytes]) {
				t.Errorf("early: got %d bytes, want %d", len(got), onion.EarlyBytes)
			}
			near, far := net.Pipe()
			got := make([]byte, len(data)-sent)
			read := make(chan error)
			go func() { _, err := io.ReadFull(far, got); read <- err }()
			if err := e.Join(t.Context(), near, sent); err != nil {
				t.Fatal(err)
			}
			if err := <-read; err != nil || !bytes.Equal(got, data[sent:]) {
				t.Errorf("behind %d bytes: %v, or other bytes", sent, err)
			}
			go far.Write([]byte("answer"))
			answer := make([]byte, 6)
			if _, err := io.ReadFull(e, answer); err != nil || string(answer) != "answer" {
				t.Errorf("got %q, %v", answer, err)
			}
			e.Close()
			if _, err := far.Read(answer); err != io.EOF {
				t.Errorf("the far end after Close: got %v, want the end", err)
			}
		})
	}
}

// Everything that waits for the stream ends when it will not come.
func TestEarlyEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := onion.NewEarly()
		ended := make(chan error, 3)
		go func() { _, err := e.Read(make([]byte, 1)); ended <- err }()
		go func() { _, err := e.Write(make([]byte, onion.EarlyBytes+1)); ended <- err }()
		synctest.Wait()
		go func() {
			if e.Next(t.Context(), onion.EarlyBytes) == nil {
				ended <- net.ErrClosed
			}
		}()
		synctest.Wait()
		if len(ended) > 0 {
			t.Fatal("something ended before the stream")
		}
		e.Close()
		for range 3 {
			if err := <-ended; !errors.Is(err, net.ErrClosed) {
				t.Errorf("got %v, want %v", err, net.ErrClosed)
			}
		}
		near, far := net.Pipe()
		if err := e.Join(t.Context(), near, 0); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Join after Close: got %v", err)
		}
		if _, err := far.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the stream of a closed Early: got %v, want the end", err)
		}
		e.Close()
	})
}

// A far end that takes nothing holds Join up no longer than its context.
func TestEarlyJoinEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := onion.NewEarly()
		e.Write([]byte("question"))
		near, far := net.Pipe()
		defer far.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := e.Join(ctx, near, 0); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want a deadline", err)
		}
		e.Close()
	})
}

func TestDialEarlyNeedsANetwork(t *testing.T) {
	if err := onion.DialEarly(t.Context(), nil, onion.Addr{}, onion.NewLane(), onion.NewEarly()); !errors.Is(err, onion.ErrNoNetwork) {
		t.Errorf("got %v, want %v", err, onion.ErrNoNetwork)
	}
}
