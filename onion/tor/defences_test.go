package tor_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha3"
	"encoding/base32"
	"encoding/binary"
	"encoding/pem"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	bine "github.com/cretz/bine/control"

	"lafs/onion"
	"lafs/onion/tor"
)

// streamsACircuit is what a service of ours allows.
const streamsACircuit = 64

// What the status says of Tor's defences is so: clients find proof of work in
// the service's descriptor, and who opens too many streams loses his circuit,
// and nobody else theirs.
func TestDefences(t *testing.T) {
	book := &logBook{}
	n, _ := own(t, book)
	key := newKey(t)
	publish(t, n, key, 80)
	a := addr(t, key, 80)
	works := builtWithWork(t)
	want := "64 streams a circuit; this Tor knows no proof of work"
	if works {
		want = "64 streams a circuit; proof of work above 50 introductions a second"
	}
	if got := n.Status().Defences; got != want {
		t.Errorf("Status: got %q, want %q", got, want)
	}
	if has := asksForWork(t, a); has != works {
		t.Errorf("the descriptor asks for proof of work: got %v, want %v", has, works)
	}

	// Tor takes the words for what they say: it looks at what they are given.
	for _, option := range []string{"MaxStreams", "PoWDefensesEnabled", "PoWQueueRate", "PoWQueueBurst"} {
		if _, err := ownControl(t).SendRequest("ADD_ONION NEW:ED25519-V3 Flags=DiscardPK %s=many Port=1", option); works && err == nil {
			t.Errorf("Tor does not look at %s", option)
		}
	}

	client := start(t, tor.Config{Mode: mode(t, "socks="+network(t).Clients()[0].Socks)})
	other := dial(t, client, a, onion.NewLane())
	greedy := onion.NewLane()
	var streams []net.Conn
	for range streamsACircuit {
		streams = append(streams, dial(t, client, a, greedy))
	}
	if err := ask(streams[0], "as many as may be"); err != nil {
		t.Fatalf("the first of %d streams: %v", streamsACircuit, err)
	}
	// Tor takes another circuit for the one that was refused, or gives up.
	if c, err := client.Dial(within(t), a, greedy); err == nil {
		defer c.Close()
	}
	for i, c := range streams {
		c.SetReadDeadline(time.Now().Add(30 * time.Second))
		if _, err := c.Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
			t.Fatalf("stream %d of a circuit that had one too many: got %v, want its end", i, err)
		}
	}
	if err := ask(other, "still here"); err != nil {
		t.Errorf("somebody else's stream: %v", err)
	}
	dial(t, client, a, onion.NewLane())
	silent(t, book.String(), key)
}

// A Tor without proof of work is not said to have it.
func TestDefencesWithoutWork(t *testing.T) {
	tn := network(t)
	run := runDirs(t)
	t.Cleanup(func() { empty(t, run) })
	n := start(t, tor.Config{Executable: torWithoutWork(t), SeedDir: tn.Seed(), TorrcFragment: tn.TorrcFragment()})
	key := newKey(t)
	publish(t, n, key, 80)
	if got, want := n.Status().Defences, "64 streams a circuit; this Tor knows no proof of work"; got != want {
		t.Errorf("Status: got %q, want %q", got, want)
	}
	if asksForWork(t, addr(t, key, 80)) {
		t.Error("the descriptor asks for proof of work")
	}
}

// builtWithWork asks the program tor itself.
func builtWithWork(t *testing.T) bool {
	t.Helper()
	out, err := exec.Command("tor", "--list-modules").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(out), "pow: yes")
}

// torWithoutWork is a tor that says that it was built without.
func torWithoutWork(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("tor")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "tor")
	text := "#!/bin/sh\nif [ \"$1\" = --list-modules ]; then echo relay: yes; echo pow: no; exit; fi\nexec " + program + " \"$@\"\n"
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// ownControl is a control connection to the one tor of ours that runs.
func ownControl(t *testing.T) *bine.Conn {
	t.Helper()
	controls, err := filepath.Glob(os.Getenv("XDG_RUNTIME_DIR") + "/lafs-tor-*/control")
	if err != nil || len(controls) != 1 {
		t.Fatalf("control sockets: %v, %v, want one", controls, err)
	}
	return controlOf(t, controls[0])
}

// asksForWork reads a's descriptor as its clients do, from our own tor.
func asksForWork(t *testing.T, a onion.Addr) bool {
	t.Helper()
	id := strings.TrimSuffix(a.Host(), ".onion")
	text := info(t, ownControl(t), "hs/service/desc/id/"+id)
	// rend-spec-v3: the address begins with the service's key, and the
	// certificate ends with the key that it has today.
	raw, err := base32.StdEncoding.DecodeString(strings.ToUpper(id))
	if err != nil {
		t.Fatal(err)
	}
	certificate, rest := pem.Decode([]byte(text))
	if certificate == nil || len(certificate.Bytes) < 76 {
		t.Fatal("the descriptor has no certificate")
	}
	blinded := certificate.Bytes[44:76]
	_, counter, _ := strings.Cut(string(rest), "revision-counter ")
	counter, _, _ = strings.Cut(counter, "\n")
	revision, err := strconv.ParseUint(strings.TrimSpace(counter), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	credential := sha3.Sum256(append([]byte("credential"), raw[:32]...))
	sub := sha3.Sum256(append(append([]byte("subcredential"), credential[:]...), blinded...))
	secret := binary.BigEndian.AppendUint64(append(append([]byte{}, blinded...), sub[:]...), revision)
	outer := openLayer(t, rest, secret, "hsdir-superencrypted-data")
	inner := openLayer(t, outer, secret, "hsdir-encrypted-data")
	if !strings.Contains(string(inner), "introduction-point ") {
		t.Fatal("the descriptor could not be read")
	}
	return strings.Contains(string(inner), "\npow-params v1 ")
}

// openLayer decrypts the message in text.
func openLayer(t *testing.T, text, secret []byte, layer string) []byte {
	t.Helper()
	message, _ := pem.Decode(text)
	if message == nil || len(message.Bytes) < 48 {
		t.Fatal("a layer of the descriptor has no message")
	}
	salt, sealed := message.Bytes[:16], message.Bytes[16:len(message.Bytes)-32]
	h := sha3.NewSHAKE256()
	for _, part := range [][]byte{secret, salt, []byte(layer)} {
		h.Write(part)
	}
	keys := make([]byte, 32+16)
	if _, err := io.ReadFull(h, keys); err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(keys[:32])
	if err != nil {
		t.Fatal(err)
	}
	plain := make([]byte, len(sealed))
	cipher.NewCTR(block, keys[32:]).XORKeyStream(plain, sealed)
	return bytes.TrimRight(plain, "\x00")
}
