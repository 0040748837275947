package server

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// TestSeats: one session has few seats whatever it asks for, and when all are
// taken, the greediest makes room, and the oldest of equals.
func TestSeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSeats(4)
		ended := func(x *seat) bool {
			select {
			case <-x.end:
				return true
			default:
				return false
			}
		}
		var greedy []*seat
		for range 10 {
			x := s.take("greedy")
			if x == nil {
				t.Fatal("no seat though one makes room")
			}
			greedy = append(greedy, x)
			s.tell(x)
			time.Sleep(time.Second)
		}
		for i, x := range greedy {
			if got := ended(x); got != (i < len(greedy)-seatsPerSession) {
				t.Errorf("seat %d of one session: ended %v", i, got)
			}
			if ended(x) {
				s.leave(x)
			}
		}
		one := s.take("one")
		two := s.take(nil)
		if one == nil || two == nil {
			t.Fatal("others have no seat beside the greedy one")
		}
		s.tell(one)
		if s.take("three") != nil {
			t.Error("a seat that was taken this minute made room")
		}
		time.Sleep(2 * minStay)
		three := s.take("three")
		if three == nil || !ended(greedy[8]) || ended(greedy[9]) || ended(one) || ended(two) {
			t.Error("the greedy session does not make room first")
		}
		s.leave(greedy[8])
		four := s.take("four")
		if four == nil || ended(two) || !ended(greedy[9]) && !ended(one) {
			t.Error("one that was told everything does not make room")
		}
		// Who has not been told everything yet keeps its seat.
		time.Sleep(2 * minStay)
		for s.take(new(int)) != nil {
		}
		if ended(two) || ended(three) {
			t.Error("one that still reads made room")
		}
	})
}

// TestStandingRoom: guests are few, one of each session, and make room when
// they leave.
func TestStandingRoom(t *testing.T) {
	s := newSeats(3 * guestPart)
	one, two := s.stand("one"), s.stand(nil)
	if one == nil || two == nil || s.stand("one") != nil {
		t.Error("a session stands twice, or not at all")
	}
	three := s.stand(nil)
	if three == nil || s.stand("four") != nil {
		t.Error("there is room for more, or for fewer, than three")
	}
	one()
	two()
	three()
	if len(s.guests) != 0 || s.stand("one") == nil {
		t.Error("who left still stands")
	}
}

// TestFeed: however often servers announce, a subscription has few lines of
// each, and the newest in the end.
func TestFeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		f := newFeed(start)
		e := func(id int) entry {
			var x entry
			x.Announcement = announcementOf(byte(id))
			return x
		}
		lines := map[string]int{}
		var late time.Time
		for time.Since(start) < 3*time.Hour {
			var news []entry
			for id := range 3 {
				news = append(news, e(id))
			}
			var out []entry
			out, late = f.choose(news, time.Now())
			for _, x := range out {
				lines[x.ServerID()]++
			}
			time.Sleep(time.Minute)
		}
		if len(lines) != 3 {
			t.Fatalf("lines of %d servers, want 3", len(lines))
		}
		for id, n := range lines {
			if n < 3 || n > 5 {
				t.Errorf("%d lines of one server (%.6s) in three hours", n, id)
			}
		}
		if late.IsZero() || len(f.late) != 3 {
			t.Errorf("the last change is not noted: late %v, %d", late, len(f.late))
		}
		out, _ := f.choose([]entry{e(0)}, late)
		if len(out) != 1 || len(f.late) != 2 {
			t.Errorf("when its time has come: %d lines", len(out))
		}
	})
}

// TestPause: batches are paced once there were many.
func TestPause(t *testing.T) {
	now := time.Now()
	f := newFeed(now)
	for i := range batchBurst {
		if d := f.pause(now); d != 0 {
			t.Fatalf("batch %d: pause %v", i, d)
		}
	}
	if d := f.pause(now); d != batchEvery {
		t.Errorf("after the burst: pause %v, want %v", d, batchEvery)
	}
	if d := f.pause(now.Add(time.Hour)); d != 0 {
		t.Errorf("an hour later: pause %v", d)
	}
}

// TestOften: one server's announcements without end are refused, another's
// are not.
func TestOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Server{changes: map[string]*changes{}, cfg: Config{MaxServers: 10}}
		for i := range changeBurst {
			if !s.mayChange("a") {
				t.Fatalf("change %d is refused", i)
			}
		}
		if s.mayChange("a") || !s.mayChange("b") {
			t.Error("the bound is not one of each server")
		}
		time.Sleep(changeEvery)
		if !s.mayChange("a") || s.mayChange("a") {
			t.Error("a minute later not exactly one is allowed")
		}
		for i := range 1000 {
			s.mayChange(fmt.Sprint(i))
		}
		if len(s.changes) > 2*s.cfg.MaxServers+1 {
			t.Errorf("%d servers are remembered", len(s.changes))
		}
	})
}
