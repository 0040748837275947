package tor_test

import (
	"strings"
	"testing"

	"lafs/onion/tor"
)

func TestParseMode(t *testing.T) {
	for _, tt := range []struct {
		name, in, want string
		publish        bool
	}{
		{"default", "", "launch", true},
		{"launch", "launch", "launch", true},
		{"system", "system", "system", true},
		{"auto", "auto", "auto", true},
		{"control on unix", "control=unix:/run/tor/control", "control=unix:/run/tor/control", true},
		{"control on IPv4", "control=127.0.0.1:9051", "control=127.0.0.1:9051", true},
		{"control on IPv6", "control=[::1]:9051", "control=[::1]:9051", true},
		{"socks", "socks=127.0.0.1:9050", "socks=127.0.0.1:9050", false},
		{"unknown", "tor", "", false},
		{"none", "none", "", false},
		{"capital", "Launch", "", false},
		{"no address", "control", "", false},
		{"empty address", "socks=", "", false},
		{"name", "control=localhost:9051", "", false},
		{"other host", "control=192.0.2.1:9051", "", false},
		{"private network", "control=10.152.152.10:9051", "", false},
		{"any host", "socks=0.0.0.0:9050", "", false},
		{"mapped", "socks=[::ffff:127.0.0.1]:9050", "", false},
		{"zone", "socks=[::1%lo]:9050", "", false},
		{"no port", "socks=127.0.0.1", "", false},
		{"port 0", "socks=127.0.0.1:0", "", false},
		{"relative path", "control=unix:tor", "", false},
		{"long path", "control=unix:/" + strings.Repeat("x", 200), "", false},
		{"line break", "control=unix:/a\nb", "", false},
		{"nothing known", "clearnet=1", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, err := tor.ParseMode(tt.in)
			if tt.want == "" {
				if err == nil {
					t.Fatalf("ParseMode: got %v, want an error", m)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if m.String() != tt.want || m.CanPublish() != tt.publish {
				t.Errorf("ParseMode: got %v, can publish %v; want %s, %v", m, m.CanPublish(), tt.want, tt.publish)
			}
		})
	}
}

func FuzzParseMode(f *testing.F) {
	for _, s := range []string{"launch", "auto", "control=unix:/run/tor/control", "socks=127.0.0.1:9050", "control=[::1]:1", "socks=1.2.3.4:5"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, err := tor.ParseMode(s)
		if err != nil {
			return
		}
		if back, err := tor.ParseMode(m.String()); err != nil || back != m {
			t.Errorf("round trip of %q: %v, %v", s, back, err)
		}
	})
}
