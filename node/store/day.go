package store

import "time"

const (
	day           = 24 * time.Hour
	leaseDuration = 31 * day
	// uploadTimeout is Tahoe's: an upload without a write for so long is
	// dropped (FORMATS.md section 9).
	uploadTimeout = 30 * time.Minute
)

// fileDay is the time that files get: now, rounded down to a day.
func fileDay(now time.Time) time.Time { return now.UTC().Truncate(day) }

// leaseEnd is the day, counted from 1970, on which a lease given now ends:
// rounded up, so that nobody gets less than was promised.
func leaseEnd(now time.Time) uint32 {
	end := now.Add(leaseDuration).Unix()
	const seconds = int64(day / time.Second)
	return uint32((end + seconds - 1) / seconds)
}
