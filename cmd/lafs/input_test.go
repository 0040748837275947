package main

import (
	"context"
	"errors"
	"io"
	"testing"
)

func TestInputEndsWithItsContext(t *testing.T) {
	r, w := io.Pipe()
	defer w.Close()
	ctx, cancel := context.WithCancel(context.Background())
	in := &input{ctx, r}
	go w.Write([]byte("two parts"))
	buf := make([]byte, 3)
	if n, err := in.Read(buf); n != 3 || err != nil || string(buf) != "two" {
		t.Errorf("Read: got %q, %v, want \"two\"", buf[:n], err)
	}
	rest := make([]byte, 6)
	if n, err := io.ReadFull(in, rest); err != nil || string(rest) != " parts" {
		t.Errorf("Read: got %q, %v, want \" parts\"", rest[:n], err)
	}
	cancel()
	if n, err := in.Read(buf); n != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("Read of nothing, cancelled: got %d, %v, want context.Canceled", n, err)
	}
	w.Close()
	if _, err := (&input{context.Background(), r}).Read(buf); err != io.EOF {
		t.Errorf("Read at the end: got %v, want EOF", err)
	}
}
