package server

import (
	"time"
)

const (
	// freeLines is how many lines about one server a subscription gets as
	// they come: what was known, and one change. Later ones are apart by
	// lineEvery, so that a publisher who announces without end, under as many
	// keys as it likes, makes no subscription longer than its reader allows:
	// five lines of a server in three hours. The newest one always comes, if
	// late.
	freeLines = 2
	lineEvery = time.Hour
	// batchBurst batches go out as changes come, later ones batchEvery apart.
	batchBurst = 16
	batchEvery = 2 * time.Second
)

// A feed is what one subscription was sent. One goroutine uses it.
type feed struct {
	seen uint64                 // revisions up to it were sent, or are late
	sent map[string]*sentServer // by server id
	late map[string]bool        // servers whose newest announcement is to come
	// credit is how many batches may go out at once, as of counted.
	credit  float64
	counted time.Time
}

type sentServer struct {
	lines int
	next  time.Time // when the next line may go out
}

func newFeed(now time.Time) *feed {
	return &feed{sent: make(map[string]*sentServer), late: make(map[string]bool), credit: batchBurst, counted: now}
}

// choose returns which of the announcements go out now, and when the next one
// may that has to wait; zero: none has.
func (f *feed) choose(news []entry, now time.Time) (lines []entry, next time.Time) {
	for _, e := range news {
		id := e.ServerID()
		st := f.sent[id]
		if st == nil {
			st = &sentServer{}
			f.sent[id] = st
		}
		if st.lines >= freeLines && now.Before(st.next) {
			f.late[id] = true
			if next.IsZero() || st.next.Before(next) {
				next = st.next
			}
			continue
		}
		delete(f.late, id)
		st.lines++
		st.next = now.Add(lineEvery)
		lines = append(lines, e)
	}
	return lines, next
}

// pause is how long to wait before the next batch.
func (f *feed) pause(now time.Time) time.Duration {
	f.credit = min(f.credit+float64(now.Sub(f.counted))/float64(batchEvery), batchBurst)
	f.counted = now
	f.credit--
	if f.credit >= 0 {
		return 0
	}
	return time.Duration(-f.credit * float64(batchEvery))
}
