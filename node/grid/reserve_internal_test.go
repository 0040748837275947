package grid

import "testing"

// Reserves take the room that a download has for them, then what is unused,
// and then there are none but for the first span. Each gives back what it took.
func TestReservesTakeMemory(t *testing.T) {
	g := &Grid{memory: newMemory(120)} // of which a transfer has 40, and goes to 60
	d := &download{account: g.account(), room: 25, extra: 1000}
	var back []func()
	took := func(first, want bool) {
		t.Helper()
		f := d.reserve(20, first)
		if (f != nil) != want {
			t.Fatalf("reserve %d: %v, want %v", len(back), f != nil, want)
		}
		if f != nil {
			back = append(back, f)
		}
	}
	for range 4 {
		took(false, true) // one of the room, three of the memory
	}
	took(false, false)
	took(true, true)
	if d.extra != 1000-5*20 || d.room != 5 || g.memory.used.Load() != 60 {
		t.Errorf("extra %d, room %d, used %d", d.extra, d.room, g.memory.used.Load())
	}
	for _, f := range back {
		f()
	}
	if d.room != 25 || g.memory.used.Load() != 0 {
		t.Errorf("after all: room %d, used %d", d.room, g.memory.used.Load())
	}
}

// The memory of a reserve that has come stays taken for the flight that is
// late: both have their blocks until the span is decoded.
func TestReserveLeavesItsMemory(t *testing.T) {
	n := 0
	sp := &span{}
	late, other, reserve := &flight{sp: sp}, &flight{sp: sp, memory: func() { n += 10 }}, &flight{sp: sp, memory: func() { n++ }}
	sp.flights = []*flight{other, late} // the reserve has landed
	reserve.stay()
	if reserve.memory != nil || late.memory == nil {
		t.Fatal("the late flight has no memory")
	}
	late.memory()
	if n != 1 {
		t.Errorf("got %d, want that of the reserve to be given back once", n)
	}
	late.memory = nil
	late.stay()
	if other.memory == nil {
		t.Error("a flight without memory took some")
	}
}
