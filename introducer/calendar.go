package introducer

import "time"

// A Calendar counts the days by which announcements expire: those that the
// process was seen to run, not those that a clock claims. A clock that jumps
// ahead, or that was wrong for a while, so makes nobody forget a server; time
// in which the node was off counts as one day at most. It may be used by many
// at once.
type Calendar struct {
	first int64
	began time.Time
}

// NewCalendar starts a calendar at now, or at the day after the latest in
// kept if that is earlier. It clamps days of kept that are still to come,
// which would otherwise never expire.
func NewCalendar(now time.Time, kept []Kept) *Calendar {
	today := Day(now)
	var latest int64
	for i := range kept {
		kept[i].Day = min(kept[i].Day, today)
		if i == 0 || kept[i].Day > latest {
			latest = kept[i].Day
		}
	}
	if len(kept) > 0 {
		today = min(today, latest+1)
	}
	return &Calendar{first: today, began: time.Now()}
}

// Today returns the calendar's day. time.Since measures by the monotonic
// clock, which nobody sets.
func (c *Calendar) Today() int64 {
	return c.first + int64(time.Since(c.began)/(secondsPerDay*time.Second))
}
