package tornet

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// half is a pipe's end that can close its writing side, as TCP can.
type half struct {
	net.Conn
	ended chan time.Time
}

func (h half) CloseWrite() error {
	h.ended <- time.Now()
	return nil
}

func TestDelayIsPipelined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const delay, gap, count = 40 * time.Millisecond, time.Millisecond, 100
		src, from := net.Pipe()
		to, dst := net.Pipe()
		ended := make(chan time.Time, 1)
		done := make(chan struct{})
		go func() {
			defer close(done)
			newDelayLine(delay).hold(half{Conn: from}, half{Conn: to, ended: ended})
		}()
		began := time.Now()
		go func() {
			for i := range count {
				src.Write([]byte{byte(i)})
				time.Sleep(gap)
			}
			src.Close()
		}()
		for i := range count {
			b := make([]byte, 1)
			if _, err := io.ReadFull(dst, b); err != nil || b[0] != byte(i) {
				t.Fatalf("byte %d: got %v, %v", i, b, err)
			}
			if got, want := time.Since(began), delay+time.Duration(i)*gap; got != want {
				t.Fatalf("byte %d came after %v, want %v", i, got, want)
			}
		}
		if got, want := (<-ended).Sub(began), delay+count*gap; got != want {
			t.Errorf("end came after %v, want %v", got, want)
		}
		<-done
	})
}

func TestDelayErrorCutsBothSides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, from := net.Pipe()
		to, dst := net.Pipe()
		dst.Close()
		done := make(chan struct{})
		go func() {
			defer close(done)
			newDelayLine(time.Second).hold(half{Conn: from}, half{Conn: to})
		}()
		src.Write([]byte("lost"))
		<-done
		if _, err := src.Write([]byte("late")); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("write after the far side went: got %v, want %v", err, io.ErrClosedPipe)
		}
	})
}

// The whole line over TCP: every byte arrives, both ways, and close cuts.
func TestDelayLineCarries(t *testing.T) {
	echo, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer echo.Close()
	go func() {
		for {
			c, err := echo.Accept()
			if err != nil {
				return
			}
			go func() { io.Copy(c, c); c.(*net.TCPConn).CloseWrite() }()
		}
	}()
	front, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := newDelayLine(5 * time.Millisecond)
	d.serve(front, echo.Addr().(*net.TCPAddr).Port)

	c, err := net.Dial("tcp4", front.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	began := time.Now()
	go func() { c.Write(sent); c.(*net.TCPConn).CloseWrite() }()
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got, sent) {
		t.Errorf("echo: got %d bytes, %v; want the %d sent", len(got), err, len(sent))
	}
	if took := time.Since(began); took < 2*d.delay {
		t.Errorf("echo took %v, want at least %v", took, 2*d.delay)
	}

	idle, err := net.Dial("tcp4", front.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	idle.Write([]byte("x"))
	if _, err := io.ReadFull(idle, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	d.close()
	if _, err := idle.Read(make([]byte, 1)); err == nil {
		t.Error("read after close: got no error")
	}
}
