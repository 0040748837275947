package introducer_test

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"
	"testing"

	"lafs/introducer"
)

func TestNURL(t *testing.T) {
	s := newServer(t)
	n := introducer.NewNURL(*s.ann.Door, s.ann.Swissnum)
	text := n.Reveal()
	want := "pb+tor://" + s.ann.Door.Pin.String() + "@" + s.ann.Door.Address.String() + "/abcdefghijklmnopqrstuvwxyz234567#v=1"
	if text != want {
		t.Errorf("Reveal: got %s, want %s", text, want)
	}
	again, err := introducer.ParseNURL(text)
	if err != nil || again.Door() != *s.ann.Door || again.Swissnum().Reveal() != s.ann.Swissnum.Reveal() {
		t.Errorf("ParseNURL: got %v, %v", again, err)
	}
	if got := fmt.Sprintf("%v %+v %s", n, n, n); strings.Trim(got, "[secret] ") != "" {
		t.Errorf("a NURL prints %q", got)
	}
	replace := func(old, with string) string { return strings.Replace(text, old, with, 1) }
	for _, tt := range []struct{ name, text, says string }{
		{"nothing", "", "does not start"},
		{"not over Tor", replace("pb+tor", "pb"), "does not lead over Tor"},
		{"over I2P", replace("pb+tor", "pb+i2p"), "does not lead over Tor"},
		{"no version", replace("#v=1", ""), "does not end in #v=1"},
		{"another version", replace("#v=1", "#v=2"), "does not end in #v=1"},
		{"an IP address", "pb+tor://" + s.ann.Door.Pin.String() + "@192.0.2.1:80/abcdefghijklmnopqrstuvwxyz234567#v=1", "not a Tor v3 onion address"},
		{"upper case", replace(s.ann.Door.Address.Host(), strings.ToUpper(s.ann.Door.Address.Host())), "not in lower case"},
		{"a short pin", replace(s.ann.Door.Pin.String(), s.ann.Door.Pin.String()[1:]), "43 characters"},
		{"no swissnum", replace("/abcdefghijklmnopqrstuvwxyz234567", ""), "nothing after the address"},
		{"a short swissnum", replace("abcdefghijklmnopqrstuvwxyz234567", "abc"), "16 to 64"},
		{"two paths", replace("#v=1", "/x#v=1"), "16 to 64"},
		{"endless", replace("#v=1", strings.Repeat("a", 600)+"#v=1"), "longer than"},
	} {
		_, err := introducer.ParseNURL(tt.text)
		if !errors.Is(err, introducer.ErrBadNURL) || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "abcdefghijklmnop") {
			t.Errorf("ParseNURL with %s: got %v, want an error with %q and no secret", tt.name, err, tt.says)
		}
	}
}

// FuzzParseNURL: what is read is written the same.
func FuzzParseNURL(f *testing.F) {
	s := fixedServer(f, 1)
	f.Add(introducer.NewNURL(*s.ann.Door, s.ann.Swissnum).Reveal())
	f.Fuzz(func(t *testing.T, text string) {
		if n, err := introducer.ParseNURL(text); err == nil && n.Reveal() != text {
			t.Errorf("ParseNURL of %q is %q", text, n.Reveal())
		}
	})
}

func TestAnnouncedDoor(t *testing.T) {
	s := newServer(t)
	open := func(a introducer.Announcement) (*introducer.Announcement, error) {
		raw, err := introducer.Sign(&a, s.node, s.place)
		if err != nil {
			return nil, err
		}
		return introducer.Open(raw)
	}
	a, err := open(s.ann)
	if err != nil || a.Door == nil || *a.Door != *s.ann.Door || a.NURL().Reveal() != introducer.NewNURL(*s.ann.Door, s.ann.Swissnum).Reveal() {
		t.Errorf("Open: got %+v, %v", a, err)
	}
	none := s.ann
	none.Door = nil
	if a, err := open(none); err != nil || a.Door != nil || a.NURL() != nil {
		t.Errorf("Open of an announcement without a door: got %+v, %v", a, err)
	}
	for name, door := range map[string]*introducer.Door{
		"on another onion": newServer(t).ann.Door, "on the port of the address": doorOn(t, s.place, 80),
	} {
		bad := s.ann
		bad.Door = door
		if _, err := open(bad); !errors.Is(err, introducer.ErrBadAnnouncement) {
			t.Errorf("a door %s: got %v, want ErrBadAnnouncement", name, err)
		}
	}
	nowhere := s.ann
	nowhere.Address, nowhere.Static = s.ann.Address, true
	if _, err := open(nowhere); err != nil {
		t.Errorf("Static is not announced: %v", err)
	}
}

// TestStaticTahoe: servers of Tahoe-LAFS's own are taken from servers.yaml if
// they can be reached over Tor.
func TestStaticTahoe(t *testing.T) {
	s := newServer(t)
	id := introducer.NewServerID(s.node.Public().(ed25519.PublicKey))
	nurl := introducer.NewNURL(*s.ann.Door, s.ann.Swissnum).Reveal()
	tcp := strings.Replace(nurl, "pb+tor", "pb", 1)
	furl := "pb://" + strings.Repeat("b", 32) + "@tcp:192.0.2.1:1,tor:x.onion:2/" + s.ann.Swissnum.Reveal()
	for _, tt := range []struct {
		name  string
		furl  any
		nurls any
		says  string // "": it is taken
	}{
		{"over Tor", furl, []any{nurl}, ""},
		{"among others", furl, []any{tcp, nurl}, ""},
		{"a FURL without hints", "pb://" + strings.Repeat("b", 32) + "@/x", []any{nurl}, ""},
		{"only in the clear", furl, []any{tcp}, "does not lead over Tor"},
		{"only Foolscap", furl, nil, "Foolscap"},
		{"an empty list", furl, []any{}, "Foolscap"},
		{"no tub id", "", []any{nurl}, "tub id"},
		{"not a list", furl, nurl, "not a short list"},
		{"a number", furl, []any{1}, "not text"},
		{"a long list", furl, make([]any, 100), "not a short list"},
	} {
		a, err := introducer.Static(id, map[string]any{"anonymous-storage-FURL": tt.furl, "anonymous-storage-NURLs": tt.nurls, "nickname": "x"})
		switch {
		case tt.says == "":
			if err != nil || !a.OnlyTahoe() || !a.Address.IsZero() || *a.Door != *s.ann.Door || a.Swissnum.Reveal() != s.ann.Swissnum.Reveal() {
				t.Errorf("Static of one %s: got %+v, %v", tt.name, a, err)
			}
			if err == nil && a.TubID == [20]byte{} {
				t.Errorf("Static of one %s has no tub id", tt.name)
			}
		case !errors.Is(err, introducer.ErrBadAnnouncement) || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "192.0.2.1"):
			t.Errorf("Static of one %s: got %v, want an error with %q", tt.name, err, tt.says)
		}
	}
}
