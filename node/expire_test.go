package node_test

import (
	"strings"
	"testing"
	"time"

	"lafs/node/store"
)

// TestExpire: [storage] expire.* as Tahoe-LAFS writes it.
func TestExpire(t *testing.T) {
	const day = 24 * time.Hour
	for _, tt := range []struct {
		name, text string
		want       store.Expiry
		err        string
	}{
		{"nothing", "", store.Expiry{Immutable: true, Mutable: true}, ""},
		{"off", "expire.enabled = false\nexpire.mode = age\n", store.Expiry{Immutable: true, Mutable: true}, ""},
		{"age", "expire.enabled = true\nexpire.mode = age\n", store.Expiry{Enabled: true, Immutable: true, Mutable: true}, ""},
		{"days", "expire.enabled = yes\nexpire.mode = age\nexpire.override_lease_duration = 60 days\nexpire.mutable = false\n",
			store.Expiry{Enabled: true, Duration: 60 * day, Immutable: true}, ""},
		{"no space", "expire.enabled = yes\nexpire.mode = age\nexpire.override_lease_duration = 31day\nexpire.immutable = no\n",
			store.Expiry{Enabled: true, Duration: 31 * day, Mutable: true}, ""},
		{"months", "expire.enabled = yes\nexpire.mode = age\nexpire.override_lease_duration = 2 months\n",
			store.Expiry{Enabled: true, Duration: 62 * day, Immutable: true, Mutable: true}, ""},
		{"mo", "expire.enabled = yes\nexpire.mode = age\nexpire.override_lease_duration = 3mo\n",
			store.Expiry{Enabled: true, Duration: 93 * day, Immutable: true, Mutable: true}, ""},
		{"years", "expire.enabled = yes\nexpire.mode = age\nexpire.override_lease_duration = 2years\n",
			store.Expiry{Enabled: true, Duration: 730 * day, Immutable: true, Mutable: true}, ""},
		{"date", "expire.enabled = yes\nexpire.mode = cutoff-date\nexpire.cutoff_date = 2009-01-16\nexpire.override_lease_duration = 60 days\n",
			store.Expiry{Enabled: true, Cutoff: time.Date(2009, 1, 16, 0, 0, 0, 0, time.UTC), Immutable: true, Mutable: true}, ""},
		{"a date that does not count", "expire.enabled = yes\nexpire.mode = age\nexpire.cutoff_date = 2009-01-16\n",
			store.Expiry{Enabled: true, Immutable: true, Mutable: true}, ""},
		{"no mode", "expire.enabled = true\n", store.Expiry{}, "[storage] expire.mode: collection of shares is on"},
		{"another mode", "expire.mode = never\n", store.Expiry{}, "[storage] expire.mode: write one of age, cutoff-date"},
		{"no date", "expire.enabled = true\nexpire.mode = cutoff-date\n", store.Expiry{}, "[storage] expire.cutoff_date: the mode is cutoff-date"},
		{"no unit", "expire.override_lease_duration = 60\n", store.Expiry{}, "[storage] expire.override_lease_duration: write how long"},
		{"another unit", "expire.override_lease_duration = 60 weeks\n", store.Expiry{}, "expire.override_lease_duration"},
		{"no number", "expire.override_lease_duration = days\n", store.Expiry{}, "expire.override_lease_duration"},
		{"zero", "expire.override_lease_duration = 0 days\n", store.Expiry{}, "expire.override_lease_duration"},
		{"negative", "expire.override_lease_duration = -3 days\n", store.Expiry{}, "expire.override_lease_duration"},
		{"for ever", "expire.override_lease_duration = 99999 years\n", store.Expiry{}, "expire.override_lease_duration"},
		{"too long", "expire.override_lease_duration = 400 years\n", store.Expiry{}, "expire.override_lease_duration"},
		{"no day", "expire.cutoff_date = 2009-02-30\n", store.Expiry{}, "[storage] expire.cutoff_date: write a day"},
		{"no bool", "expire.enabled = perhaps\n", store.Expiry{}, "[storage] expire.enabled"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := loadText(t, "[storage]\n"+tt.text)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("Load: got %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil || c.Expire != tt.want {
				t.Errorf("Load: got %+v, %v, want %+v", c.Expire, err, tt.want)
			}
		})
	}
}
