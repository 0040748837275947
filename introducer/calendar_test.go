package introducer_test

import (
	"testing"
	"testing/synctest"
	"time"

	"lafs/introducer"
)

func TestCalendar(t *testing.T) {
	const day = 24 * time.Hour
	for _, tt := range []struct {
		name       string
		kept       []int64 // before today
		start      int64   // before today
		expiredNow bool    // the first of kept
	}{
		{"nothing kept", nil, 0, false},
		{"kept of yesterday", []int64{1, 20}, 0, false},
		{"a clock 31 days ahead, or as long without power", []int64{31, 33}, 30, false},
		{"silent while another was heard", []int64{31, 1}, 0, true},
		{"a day to come", []int64{-1000, 3}, 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				today := introducer.Day(time.Now())
				var kept []introducer.Kept
				for _, ago := range tt.kept {
					kept = append(kept, introducer.Kept{Day: today - ago})
				}
				c := introducer.NewCalendar(time.Now(), kept)
				if got := c.Today(); got != today-tt.start {
					t.Errorf("Today: got %d days ago, want %d", today-got, tt.start)
				}
				if len(kept) == 0 {
					return
				}
				if got := kept[0].Expired(c.Today()); got != tt.expiredNow {
					t.Errorf("Expired: got %t, want %t", got, tt.expiredNow)
				}
				time.Sleep(31 * day)
				if !kept[0].Expired(c.Today()) {
					t.Error("after running 31 days more it has not expired")
				}
			})
		})
	}
}
