package introducer_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"lafs/introducer"
	"lafs/onion"
	"lafs/shares/hashes"
)

var base32Lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// A server is one that may sign.
type server struct {
	node  ed25519.PrivateKey
	place *onion.Key
	ann   introducer.Announcement
}

func newServer(t testing.TB) *server {
	t.Helper()
	_, node, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	place, err := onion.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	addr, err := place.Addr(80)
	if err != nil {
		t.Fatal(err)
	}
	swissnum, err := introducer.NewSwissnum("abcdefghijklmnopqrstuvwxyz234567")
	if err != nil {
		t.Fatal(err)
	}
	return &server{node, place, introducer.Announcement{
		Seqnum: 7, Address: addr, Swissnum: swissnum, Nickname: `<b>"ü"`,
		PermutationSeed: introducer.DefaultPermutationSeed(node.Public().(ed25519.PublicKey)),
		Protocols:       []int{1, 2},
		Door:            doorOn(t, place, 81),
	}}
}

func doorOn(t testing.TB, place *onion.Key, port uint16) *introducer.Door {
	t.Helper()
	a, err := place.Addr(port)
	if err != nil {
		t.Fatal(err)
	}
	return &introducer.Door{Address: a, Pin: onion.PinOf([]byte("a TLS key"))}
}

// fixedServer returns the server whose keys are made of n, so that fuzz seeds
// are the same in each run.
func fixedServer(t testing.TB, n byte) *server {
	t.Helper()
	s := newServer(t)
	s.node = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
	expanded := sha512.Sum512(bytes.Repeat([]byte{n, 0}, ed25519.SeedSize))
	expanded[0] &= 248
	expanded[31] = expanded[31]&63 | 64
	var err error
	if s.place, err = onion.ParseKey("ED25519-V3:" + base64.StdEncoding.EncodeToString(expanded[:])); err != nil {
		t.Fatal(err)
	}
	if s.ann.Address, err = s.place.Addr(80); err != nil {
		t.Fatal(err)
	}
	s.ann.Door = doorOn(t, s.place, 81)
	s.ann.PermutationSeed = introducer.DefaultPermutationSeed(s.node.Public().(ed25519.PublicKey))
	return s
}

func (s *server) sign(t testing.TB) []byte {
	t.Helper()
	raw, err := introducer.Sign(&s.ann, s.node, s.place)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestAnnouncementRoundTrip(t *testing.T) {
	s := newServer(t)
	raw := s.sign(t)
	a, err := introducer.Open(raw)
	if err != nil {
		t.Fatal(err)
	}
	if !a.ServerKey.Equal(s.node.Public()) || a.Seqnum != 7 || a.Address != s.ann.Address ||
		a.Swissnum.Reveal() != s.ann.Swissnum.Reveal() || a.Nickname != s.ann.Nickname ||
		!bytes.Equal(a.PermutationSeed, s.ann.PermutationSeed) || len(a.Protocols) != 2 || a.Static || a.Stale {
		t.Errorf("Open: got %+v, want what was signed: %+v", a, s.ann)
	}
	if a.TubID != hashes.TubID(a.ServerKey) {
		t.Error("Open: the tub id is not that of the key")
	}
	again, err := introducer.Sign(a, s.node, s.place)
	if err != nil || !bytes.Equal(again, raw) {
		t.Errorf("Sign of what was opened: other bytes, %v", err)
	}
	if bytes.ContainsAny(raw, "\n") {
		t.Error("the announcement is more than one line")
	}
	if strings.Contains(fmt.Sprintf("%v %+v", a, a), s.ann.Swissnum.Reveal()) {
		t.Error("printing the announcement shows the swissnum")
	}
}

func TestSignRefuses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*server)
	}{
		{"seqnum 0", func(s *server) { s.ann.Seqnum = 0 }},
		{"seqnum too large", func(s *server) { s.ann.Seqnum = introducer.MaxSeqnum + 1 }},
		{"no address", func(s *server) { s.ann.Address = onion.Addr{} }},
		{"no swissnum", func(s *server) { s.ann.Swissnum = nil }},
		{"short seed", func(s *server) { s.ann.PermutationSeed = make([]byte, 15) }},
		{"long seed", func(s *server) { s.ann.PermutationSeed = make([]byte, 65) }},
		{"no protocols", func(s *server) { s.ann.Protocols = nil }},
		{"protocols fall", func(s *server) { s.ann.Protocols = []int{2, 1} }},
		{"protocol twice", func(s *server) { s.ann.Protocols = []int{1, 1} }},
		{"protocol 0", func(s *server) { s.ann.Protocols = []int{0} }},
		{"too many protocols", func(s *server) {
			for i := range 20 {
				s.ann.Protocols = append(s.ann.Protocols, i+10)
			}
		}},
		{"long nickname", func(s *server) { s.ann.Nickname = strings.Repeat("x", 65) }},
		{"newline in nickname", func(s *server) { s.ann.Nickname = "a\nb" }},
		{"right-to-left override", func(s *server) { s.ann.Nickname = "a\u202eb" }},
		{"not utf-8", func(s *server) { s.ann.Nickname = "a\xff" }},
		{"space around", func(s *server) { s.ann.Nickname = " a" }},
		{"another's place", func(s *server) { s.place, _ = onion.GenerateKey() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(t)
			tt.change(s)
			if _, err := introducer.Sign(&s.ann, s.node, s.place); !errors.Is(err, introducer.ErrBadAnnouncement) {
				t.Errorf("Sign: got %v, want ErrBadAnnouncement", err)
			}
		})
	}
}

// forge signs msg as it stands with the server's key and keeps the binding
// signature of the genuine announcement.
func (s *server) forge(t *testing.T, msg string) []byte {
	t.Helper()
	var parts []string
	if err := json.Unmarshal(s.sign(t), &parts); err != nil {
		t.Fatal(err)
	}
	parts[0] = msg
	parts[1] = "v0-" + base32Lower.EncodeToString(ed25519.Sign(s.node, []byte(msg)))
	return marshal(t, parts)
}

func marshal(t *testing.T, parts []string) []byte {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(parts); err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

func (s *server) message(t *testing.T) string {
	t.Helper()
	var parts []string
	if err := json.Unmarshal(s.sign(t), &parts); err != nil {
		t.Fatal(err)
	}
	return parts[0]
}

// The server itself may be hostile: what it signs is still held to the
// rules.
func TestOpenRefusesWhatTheServerSigned(t *testing.T) {
	s := newServer(t)
	msg := s.message(t)
	host := s.ann.Address.Host()
	other := newServer(t)
	otherAnn, err := introducer.Open(other.sign(t))
	if err != nil {
		t.Fatal(err)
	}
	own, err := introducer.Open(s.sign(t))
	if err != nil {
		t.Fatal(err)
	}
	tub := func(a *introducer.Announcement) string { return base32Lower.EncodeToString(a.TubID[:]) }
	for _, tt := range []struct{ name, msg string }{
		{"ip", strings.ReplaceAll(msg, host, "192.0.2.1")},
		{"ip in the FURL alone", strings.Replace(msg, "tor:"+host, "tcp:192.0.2.1", 1)},
		{"second hint", strings.Replace(msg, "tor:"+host+":80", "tor:"+host+":80,tcp:192.0.2.1:80", 1)},
		{"dns name", strings.ReplaceAll(msg, host, "example.com")},
		{"another's address", strings.ReplaceAll(msg, host, other.ann.Address.Host())},
		{"another port", strings.ReplaceAll(msg, host+":80", host+":81")},
		{"another seqnum", strings.Replace(msg, `"seqnum":7`, `"seqnum":8`, 1)},
		{"another's tub id", strings.Replace(msg, tub(own), tub(otherAnn), 1)},
		{"unknown key", strings.Replace(msg, `,"seqnum"`, `,"public-ip":"192.0.2.1","seqnum"`, 1)},
		{"version", strings.Replace(msg, `,"seqnum"`, `,"my-version":"1.0","seqnum"`, 1)},
		{"time", strings.Replace(msg, `,"seqnum"`, `,"published":1,"seqnum"`, 1)},
		{"key twice", strings.Replace(msg, `,"seqnum":7`, `,"seqnum":7,"seqnum":7`, 1)},
		{"space", strings.Replace(msg, `,"seqnum"`, `, "seqnum"`, 1)},
		{"number in another form", strings.Replace(msg, `"seqnum":7`, `"seqnum":7.0`, 1)},
		{"key in upper case", strings.Replace(msg, `"seqnum"`, `"Seqnum"`, 1)},
		{"other format", strings.Replace(msg, `"announcement-format":1`, `"announcement-format":2`, 1)},
		{"other service", strings.Replace(msg, `"storage"`, `"stub_client"`, 1)},
		{"upper case address", strings.Replace(msg, `"address":"`+host, `"address":"`+strings.ToUpper(host), 1)},
		{"trailing bytes", msg + " "},
		{"not json", "hello"},
		{"empty", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.msg == msg {
				t.Fatal("the test changed nothing")
			}
			if _, err := introducer.Open(s.forge(t, tt.msg)); !errors.Is(err, introducer.ErrBadAnnouncement) {
				t.Errorf("Open: got %v, want ErrBadAnnouncement", err)
			}
		})
	}
	if _, err := introducer.Open(s.forge(t, msg)); err != nil {
		t.Errorf("Open of the unchanged message: %v", err)
	}
}

// Anybody may have touched it on the way: each flipped bit and each cut is
// refused.
func TestOpenRefusesFlipsAndCuts(t *testing.T) {
	s := newServer(t)
	raw := s.sign(t)
	for i := range raw {
		for _, flip := range []byte{1, 0x20, 0x80} {
			bad := bytes.Clone(raw)
			bad[i] ^= flip
			if _, err := introducer.Open(bad); !errors.Is(err, introducer.ErrBadAnnouncement) {
				t.Fatalf("Open with byte %d flipped by %#x: got %v, want ErrBadAnnouncement", i, flip, err)
			}
		}
		if _, err := introducer.Open(raw[:i]); !errors.Is(err, introducer.ErrBadAnnouncement) {
			t.Fatalf("Open of the first %d bytes: got %v, want ErrBadAnnouncement", i, err)
		}
	}
	if _, err := introducer.Open(append(raw, make([]byte, introducer.MaxSize)...)); !errors.Is(err, introducer.ErrBadAnnouncement) {
		t.Errorf("Open of too many bytes: got %v, want ErrBadAnnouncement", err)
	}
}

// A key of small order would let anybody sign for it.
func TestServerIDRefusesWeakKeys(t *testing.T) {
	identity := make([]byte, 32)
	identity[0] = 1
	for _, id := range []string{introducer.NewServerID(identity), "v0-", "v1-" + strings.Repeat("a", 52), "", "v0-" + strings.Repeat("a", 51)} {
		if _, err := introducer.ParseServerID(id); !errors.Is(err, introducer.ErrBadAnnouncement) {
			t.Errorf("ParseServerID(%q): got %v, want ErrBadAnnouncement", id, err)
		}
	}
}

func TestFURL(t *testing.T) {
	s := newServer(t)
	f := introducer.NewFURL(s.ann.Address, introducer.GenerateSecret())
	text := f.Reveal()
	back, err := introducer.ParseFURL(text + "\n")
	if err != nil {
		t.Fatal(err)
	}
	if back.Reveal() != text || back.Address() != s.ann.Address || back.PublishSecret().Reveal() != f.PublishSecret().Reveal() {
		t.Error("ParseFURL(Reveal) is another FURL")
	}
	reader, err := introducer.ParseFURL(f.ReadOnly().Reveal())
	if err != nil {
		t.Fatal(err)
	}
	if reader.PublishSecret() != nil || reader.SubscribeSecret().Reveal() != f.SubscribeSecret().Reveal() {
		t.Error("the read-only FURL has other rights than to subscribe")
	}
	if strings.Contains(reader.Reveal(), f.PublishSecret().Reveal()) {
		t.Error("the read-only FURL holds the publishing secret")
	}
	if got := fmt.Sprintf("%v %+v %#v %s %x %v", f, f, f, f, f, f.PublishSecret()); got != strings.TrimSpace(strings.Repeat("[secret] ", 6)) {
		t.Errorf("Format: got %q", got)
	}
	if !f.PublishSecret().Authorizes(f.PublishSecret().Authorization()) ||
		f.PublishSecret().Authorizes(f.SubscribeSecret().Authorization()) || f.PublishSecret().Authorizes("") {
		t.Error("Authorizes: wrong answer")
	}
}

func TestParseFURLRefuses(t *testing.T) {
	s := newServer(t)
	good := introducer.NewFURL(s.ann.Address, introducer.GenerateSecret()).Reveal()
	host := s.ann.Address.Host()
	for _, tt := range []struct {
		name, text string
		want       error
	}{
		{"empty", "", introducer.ErrBadFURL},
		{"cut", good[:len(good)-1], introducer.ErrBadFURL},
		{"longer", good + "aaaaaaaa", introducer.ErrBadFURL},
		{"huge", good + strings.Repeat("a", 1<<20), introducer.ErrBadFURL},
		{"other id", strings.Replace(good, good[5:37], strings.Repeat("a", 32), 1), introducer.ErrBadFURL},
		{"ip", strings.Replace(good, "tor:"+host, "tcp:192.0.2.1", 1), introducer.ErrBadFURL},
		{"ip as tor", strings.Replace(good, host, "192.0.2.1", 1), introducer.ErrBadFURL},
		{"two hints", strings.Replace(good, "/lafs", ",tcp:192.0.2.1:1/lafs", 1), introducer.ErrBadFURL},
		{"query", good + "?x", introducer.ErrBadFURL},
		{"foolscap", "pb://" + strings.Repeat("a", 32) + "@tcp:192.0.2.1:1234/introducer", introducer.ErrFoolscap},
		{"foolscap with many hints", "pb://" + strings.Repeat("a", 32) + "@tcp:192.0.2.1:1234" + strings.Repeat(",tor:"+host+":80", 4) + "/introducer", introducer.ErrFoolscap},
		{"foolscap on tor", "pb://" + strings.Repeat("a", 32) + "@tor:" + host + ":80/" + strings.Repeat("b", 32), introducer.ErrFoolscap},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := introducer.ParseFURL(tt.text)
			if !errors.Is(err, tt.want) {
				t.Fatalf("ParseFURL: got %v, want %v", err, tt.want)
			}
			if len(tt.text) > 100 && strings.Contains(err.Error(), tt.text[60:90]) {
				t.Error("the error quotes the FURL")
			}
		})
	}
}

func TestStatic(t *testing.T) {
	s := newServer(t)
	id := introducer.NewServerID(s.node.Public().(ed25519.PublicKey))
	entry := func(t *testing.T) map[string]any {
		var ann map[string]any
		if err := json.Unmarshal([]byte(s.message(t)), &ann); err != nil {
			t.Fatal(err)
		}
		ann["protocols"] = []any{1, 2} // as YAML has it
		ann["seqnum"], ann["announcement-format"] = 7, 1
		return ann
	}
	a, err := introducer.Static(id, entry(t))
	if err != nil {
		t.Fatal(err)
	}
	if !a.Static || a.ServerID() != id || a.Address != s.ann.Address || !bytes.Equal(a.PermutationSeed, s.ann.PermutationSeed) {
		t.Errorf("Static: got %+v", a)
	}
	for _, tt := range []struct {
		name   string
		change func(map[string]any)
		ok     bool
	}{
		{"no protocols", func(m map[string]any) { delete(m, "protocols") }, true},
		{"no seed", func(m map[string]any) { delete(m, "permutation-seed-base32") }, true},
		{"tahoe's keys", func(m map[string]any) { m["my-version"] = "tahoe-lafs/1.20"; m["version"] = 0 }, true},
		{"no address", func(m map[string]any) { delete(m, "address"); delete(m, "anonymous-storage-NURLs") }, false},
		{"ip", func(m map[string]any) { m["address"] = "192.0.2.1:80" }, false},
		{"no furl", func(m map[string]any) { delete(m, "anonymous-storage-FURL") }, false},
		{"another address", func(m map[string]any) { m["address"] = newServer(t).ann.Address.String() }, false},
		{"address a number", func(m map[string]any) { m["address"] = 1 }, false},
		{"protocols text", func(m map[string]any) { m["protocols"] = "1" }, false},
		{"protocols of text", func(m map[string]any) { m["protocols"] = []any{"1"} }, false},
		{"other service", func(m map[string]any) { m["service-name"] = "helper" }, false},
		{"nickname a list", func(m map[string]any) { m["nickname"] = []any{} }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := entry(t)
			tt.change(m)
			a, err := introducer.Static(id, m)
			if tt.ok && err != nil || !tt.ok && (a != nil || !errors.Is(err, introducer.ErrBadAnnouncement)) {
				t.Errorf("Static: got %v, %v, want ok = %v", a, err, tt.ok)
			}
		})
	}
	if _, err := introducer.Static(introducer.NewServerID(newServer(t).node.Public().(ed25519.PublicKey)), entry(t)); err == nil {
		t.Error("Static took an entry whose tub id is another server's")
	}
	if _, err := introducer.Static(id, nil); err == nil {
		t.Error("Static took an empty entry")
	}
}

func FuzzOpen(f *testing.F) {
	s := fixedServer(f, 1)
	f.Add(s.sign(f))
	f.Add([]byte(`["","v0-","v0-","v0-"]`))
	f.Add([]byte(`["{}"]`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		a, err := introducer.Open(raw)
		if err != nil {
			if a != nil || !errors.Is(err, introducer.ErrBadAnnouncement) {
				t.Errorf("Open: got %v, %v", a, err)
			}
			return
		}
		if len(raw) > introducer.MaxSize || a.Tub == nil && a.TubID != hashes.TubID(a.ServerKey) {
			t.Error("Open took what it may not")
		}
	})
}

// FuzzMessage lets a hostile server sign anything: what is opened comes out
// of Sign again as the same bytes.
func FuzzMessage(f *testing.F) {
	s := fixedServer(f, 1)
	var parts []string
	if err := json.Unmarshal(s.sign(f), &parts); err != nil {
		f.Fatal(err)
	}
	f.Add(parts[0])
	f.Add(strings.Replace(parts[0], `"seqnum":7`, `"seqnum":7e0`, 1))
	f.Add(`{"address":null}`)
	f.Fuzz(func(t *testing.T, msg string) {
		p := append([]string(nil), parts...)
		p[0], p[1] = msg, "v0-"+base32Lower.EncodeToString(ed25519.Sign(s.node, []byte(msg)))
		raw := marshal(t, p)
		a, err := introducer.Open(raw)
		if err != nil {
			return
		}
		again, err := introducer.Sign(a, s.node, s.place)
		if err != nil || !bytes.Equal(again, raw) {
			t.Errorf("round trip of %q: %v", msg, err)
		}
	})
}

func FuzzParseFURL(f *testing.F) {
	s := newServer(f)
	good := introducer.NewFURL(s.ann.Address, introducer.GenerateSecret())
	f.Add(good.Reveal())
	f.Add(good.ReadOnly().Reveal())
	f.Add("pb://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@tcp:192.0.2.1:1/introducer")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := introducer.ParseFURL(text)
		if err != nil {
			return
		}
		if got.Reveal() != strings.TrimSpace(text) {
			t.Error("Reveal is another text than what was parsed")
		}
	})
}

func FuzzStatic(f *testing.F) {
	s := newServer(f)
	id := introducer.NewServerID(s.node.Public().(ed25519.PublicKey))
	f.Add(id, s.ann.Address.String(), "pb://x@tor:y/z", "nick", "abcd")
	f.Fuzz(func(t *testing.T, id, address, furl, nickname, seed string) {
		a, err := introducer.Static(id, map[string]any{"address": address, "anonymous-storage-FURL": furl,
			"nickname": nickname, "permutation-seed-base32": seed})
		if err == nil && (a.Address.String() != strings.ToLower(address) || a.ServerID() != id) {
			t.Errorf("Static: got %+v", a)
		}
	})
}

func FuzzParseKept(f *testing.F) {
	a, b := fixedServer(f, 1), fixedServer(f, 2)
	open := func(raw []byte, day int64) introducer.Kept {
		ann, err := introducer.Open(raw)
		if err != nil {
			f.Fatal(err)
		}
		return introducer.Kept{Announcement: ann, Raw: raw, Day: day}
	}
	whole := introducer.MarshalKept([]introducer.Kept{open(a.sign(f), 20000), open(b.sign(f), -1)})
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Add([]byte("lafs announcements 2\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, _, err := introducer.ParseKept(text)
		if err != nil {
			return
		}
		again, dropped, err := introducer.ParseKept(introducer.MarshalKept(list))
		if err != nil || dropped != 0 || len(again) != len(list) {
			t.Errorf("round trip: %d of %d, %d dropped, %v", len(again), len(list), dropped, err)
		}
	})
}
