package node

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// The settings [storage] expire.* say which shares are collected whose leases
// have ended, with Tahoe-LAFS's keys and syntax.
const (
	expireByAge    = "age"
	expireByCutoff = "cutoff-date"
)

// rawExpire is what of it only makes sense together.
type rawExpire struct {
	enabled bool
	mode    string
	cutoff  time.Time
}

func expireMode(r *rawConfig, v string) error {
	r.expire.mode = strings.ToLower(v)
	return oneOf(expireByAge, expireByCutoff)(r, v)
}

// leaseDuration reads "7 days", "31day", "2 months", "3mo" or "1 year": a
// month has 31 days and a year 365.
func leaseDuration(r *rawConfig, v string) error {
	if v == "" || v == "None" {
		return nil
	}
	const day = 24 * time.Hour
	text := strings.TrimSuffix(strings.ToLower(v), "s")
	for _, u := range []struct {
		name   string
		length time.Duration
	}{{"day", day}, {"month", 31 * day}, {"mo", 31 * day}, {"year", 365 * day}} {
		digits, ok := strings.CutSuffix(text, u.name)
		if !ok {
			continue
		}
		n, err := strconv.Atoi(strings.TrimSpace(digits))
		if err != nil || n < 1 || n > 36500 || time.Duration(n) > (1<<62)/u.length {
			break
		}
		r.Expire.Duration = time.Duration(n) * u.length
		return nil
	}
	return errors.New("write how long a lease lasts, such as 60 days, 3 months or 1 year")
}

// cutoffDate reads a day, 2026-11-28, which stands for its first moment.
func cutoffDate(r *rawConfig, v string) (err error) {
	if v == "" || v == "None" {
		return nil
	}
	if r.expire.cutoff, err = time.Parse(time.DateOnly, v); err != nil {
		return errors.New("write a day as 2026-11-28")
	}
	return nil
}

// finishExpire checks the settings of expiry with each other.
func (r *rawConfig) finishExpire() error {
	e := &r.Expire
	e.Enabled = r.expire.enabled
	switch {
	case !e.Enabled:
		return nil
	case r.expire.mode == "":
		return settingError("storage", "expire.mode", "collection of shares is on, so say when a lease ends: age or cutoff-date")
	case r.expire.mode == expireByCutoff && r.expire.cutoff.IsZero():
		return settingError("storage", "expire.cutoff_date", "the mode is cutoff-date, so write a day as 2026-11-28")
	}
	if r.expire.mode == expireByCutoff {
		e.Duration, e.Cutoff = 0, r.expire.cutoff
	}
	return nil
}
