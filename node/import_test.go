package node_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"lafs/introducer"
	"lafs/node"
	"lafs/onion"
	"lafs/onion/local"
	"lafs/onion/oniontest"
	"lafs/shares/caps"
	"lafs/shares/hashes"
	"lafs/shares/immutable"
	"lafs/shares/mutable"
)

// A tahoeNode is a node directory as Tahoe-LAFS makes it.
type tahoeNode struct {
	t   *testing.T
	dir string
	tub [20]byte
}

func newTahoeNode(t *testing.T) *tahoeNode {
	t.Helper()
	h := &tahoeNode{t: t, dir: t.TempDir()}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "newpb_thingy"}, NotAfter: time.Unix(31536000, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	h.tub = sha1.Sum(der)
	h.write("private/node.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))+
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})))
	h.write("private/node.privkey", "priv-v0-"+caps.Encoding.EncodeToString(bytes.Repeat([]byte{1}, 32))+"\n")
	place, err := onion.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	h.write("private/tor_onion.privkey", place.Marshal())
	h.write("permutation-seed", caps.Encoding.EncodeToString([]byte("a seed of its own....")))
	h.write("private/storage.furl", "pb://"+caps.Encoding.EncodeToString(h.tub[:])+"@tor:example.onion:3457/abcdefghijklmnopqrstuvwxyz234567\n")
	h.write("tahoe.cfg", "[node]\nnickname = n\ntub.port = tcp:3457\n[tor]\nonion = true\nonion.external_port = 3457\n[storage]\nenabled = true\nexpire.enabled = false\n")
	h.write("storage/shares/incoming/README", "")
	return h
}

func (h *tahoeNode) write(name, text string) {
	h.t.Helper()
	path := filepath.Join(h.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

func (h *tahoeNode) share(si caps.StorageIndex, n int, container []byte) {
	h.t.Helper()
	h.write(fmt.Sprintf("storage/shares/%s/%s/%d", si.String()[:2], si, n), string(container))
}

// file stores a file whole, in a container of version 2, and returns its cap.
func (h *tahoeNode) file(text []byte) string {
	h.t.Helper()
	e, err := immutable.NewEncoder(immutable.Params{Needed: 1, Total: 1}, int64(len(text)), immutable.RandomKey())
	if err != nil {
		h.t.Fatal(err)
	}
	blocks, err := e.Encode(text)
	if err != nil {
		h.t.Fatal(err)
	}
	tails, c, err := e.Finish()
	if err != nil {
		h.t.Fatal(err)
	}
	share := slices.Concat(e.Header(), blocks[0], tails[0])
	b := binary.BigEndian.AppendUint32(nil, 2)
	b = binary.BigEndian.AppendUint32(b, uint32(len(share)))
	h.share(e.StorageIndex(), 0, append(append(b, 0, 0, 0, 0), share...))
	return c.Reveal()
}

// mutable stores a mutable file whole, as a client did that had the write
// enabler from the server with the tub id, and returns its cap.
func (h *tahoeNode) mutable(tub [20]byte, text string) string {
	h.t.Helper()
	key, err := mutable.GenerateKey()
	if err != nil {
		h.t.Fatal(err)
	}
	version, err := mutable.Encode(key, mutable.Params{Needed: 1, Total: 1}, 1, []byte(text))
	if err != nil {
		h.t.Fatal(err)
	}
	w, share := key.WriteCap(mutable.SDMF), version.Shares[0]
	enabler := hashes.WriteEnabler(w.Key.Bytes(), tub)
	b := slices.Concat([]byte("Tahoe mutable container v2\n\xc3\x55\x21\x99\x25"), tub[:], enabler[:])
	b = binary.BigEndian.AppendUint64(b, uint64(len(share)))
	b = binary.BigEndian.AppendUint64(b, uint64(468+len(share)))
	b = slices.Concat(b, make([]byte, 4*92), share, make([]byte, 4))
	h.share(w.StorageIndex(), 0, b)
	return w.Reveal()
}

// TestImport takes a server over and lets a client that never heard of
// Tahoe-LAFS read and write what was on it.
func TestImport(t *testing.T) {
	for _, link := range []bool{false, true} {
		t.Run(fmt.Sprint("link ", link), func(t *testing.T) {
			h := newTahoeNode(t)
			text := bytes.Repeat([]byte("plaintext "), 1000)
			file, own, moved := h.file(text), h.mutable(h.tub, "mutable"), h.mutable([20]byte{5}, "from a third server")

			server := create(t, node.CreateOptions{Storage: true})
			dir := string(server.Dir)
			o := node.ImportOptions{Link: link, DryRun: true}
			before := read(t, dir, "private/node.privkey")
			if s, err := node.Import(t.Context(), dir, h.dir, o); err != nil || s.Taken != 3 || len(s.Identity) == 0 {
				t.Errorf("dry run: got %+v, %v", s, err)
			}
			if read(t, dir, "private/node.privkey") != before {
				t.Error("a dry run changed the node")
			}
			o.DryRun = false
			s, err := node.Import(t.Context(), dir, h.dir, o)
			if err != nil || s.Taken != 3 || s.Left != 0 || s.Foreign != 1 {
				t.Fatalf("Import: got %+v, %v", s, err)
			}
			if s, err := node.Import(t.Context(), dir, h.dir, o); err != nil || s.Taken != 0 || s.Before != 3 || len(s.Identity) != 0 {
				t.Errorf("Import again: got %+v, %v", s, err)
			}
			for _, name := range []string{"private/node.privkey", "private/node.pem", "private/tor_onion.privkey", "permutation-seed"} {
				if read(t, dir, name) != read(t, h.dir, name) {
					t.Errorf("%s is not the other server's", name)
				}
			}

			net := oniontest.New(oniontest.Options{})
			defer net.Close()
			intro := create(t, node.CreateOptions{Introducer: true})
			_, stopIntro := start(t, intro, net.Host("intro"))
			furl := read(t, intro.Dir.IntroducerFURLFile())
			if err := os.WriteFile(server.Dir.IntroducersFile(), []byte("introducers:\n  default:\n    furl: "+furl+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			if server, err = node.Load(dir); err != nil {
				t.Fatal(err)
			}
			_, stopServer := start(t, server, net.Host("server"))
			if got := read(t, dir, "private/storage.furl"); !strings.HasPrefix(got, "pb://"+caps.Encoding.EncodeToString(h.tub[:])+"@tor:") || !strings.HasSuffix(got, "/abcdefghijklmnopqrstuvwxyz234567") {
				t.Error("storage.furl has another tub id, or another swissnum")
			}
			client := create(t, node.CreateOptions{Introducers: []string{furl}, Needed: 1, Happy: 1, Total: 1})
			n, stopClient := start(t, client, net.Host("client"))
			key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32)).Public().(ed25519.PublicKey)
			if st := n.Status(); len(st.Servers) != 1 || st.Servers[0].ID != introducer.NewServerID(key) {
				t.Fatalf("servers: got %+v, want the one that was taken over", st.Servers)
			}
			u := &user{t, local.UnixClient(client.Dir.Socket()), node.SocketHost}
			if got := u.want(200, "GET", "/uri/"+url.PathEscape(file), ""); got != string(text) {
				t.Errorf("the immutable file: got %d bytes", len(got))
			}
			for _, cap := range []struct{ cap, text string }{{own, "mutable"}, {moved, "from a third server"}} {
				if got := u.want(200, "GET", "/uri/"+url.PathEscape(cap.cap), ""); got != cap.text {
					t.Errorf("a mutable file: got %q, want %q", got, cap.text)
				}
			}
			u.want(200, "PUT", "/uri/"+url.PathEscape(own), "written anew")
			if got := u.want(200, "GET", "/uri/"+url.PathEscape(own), ""); got != "written anew" {
				t.Errorf("a mutable file written anew: got %q", got)
			}
			// The client waits half a minute for servers that take the change.
			if !testing.Short() && !link {
				if code, _ := u.do("PUT", "/uri/"+url.PathEscape(moved), "written anew"); code < 400 {
					t.Errorf("write of a slot of a third server: got %d", code)
				}
			}
			if got := u.want(200, "GET", "/uri/"+url.PathEscape(moved), ""); got != "from a third server" {
				t.Errorf("a slot that can not be written: got %q", got)
			}
			for _, stop := range []func() error{stopClient, stopServer, stopIntro} {
				if err := stop(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestImportRefuses: what would destroy an identity, or let two servers have
// one, is refused and changes nothing.
func TestImportRefuses(t *testing.T) {
	h := newTahoeNode(t)
	h.file([]byte("some text, longer than what fits into a cap as a literal, of course"))
	used := create(t, node.CreateOptions{Storage: true})
	if err := os.WriteFile(filepath.Join(string(used.Dir), "announcement-seqnum"), []byte("1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	fresh := create(t, node.CreateOptions{Storage: true})
	client := create(t, node.CreateOptions{})
	running := newTahoeNode(t)
	running.write("twistd.pid", fmt.Sprint(os.Getpid()))
	bad := newTahoeNode(t)
	bad.write("private/tor_onion.privkey", "-----BEGIN RSA PRIVATE KEY-----")
	badPEM := newTahoeNode(t)
	badPEM.write("private/node.pem", "no certificate")
	for _, tt := range []struct {
		name, dir, from, want string
		o                     node.ImportOptions
	}{
		{"a node with another identity", string(used.Dir), h.dir, "identity of its own", node.ImportOptions{}},
		{"a client", string(client.Dir), h.dir, "no storage server", node.ImportOptions{}},
		{"a server that runs", string(fresh.Dir), running.dir, "is running", node.ImportOptions{}},
		{"nothing", string(fresh.Dir), t.TempDir(), "no Tahoe-LAFS storage server", node.ImportOptions{}},
		{"itself", string(fresh.Dir), string(fresh.Dir), "its own directory", node.ImportOptions{}},
		{"a v2 onion key", string(fresh.Dir), bad.dir, "v2 onion address", node.ImportOptions{}},
		{"a bad certificate", string(fresh.Dir), badPEM.dir, "no certificate", node.ImportOptions{}},
		{"no node", t.TempDir(), h.dir, "no node there", node.ImportOptions{}},
	} {
		if _, err := node.Import(t.Context(), tt.dir, tt.from, tt.o); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Import of %s: got %v, want %q", tt.name, err, tt.want)
		}
	}
	before := read(t, string(used.Dir), "private/node.privkey")
	if s, err := node.Import(t.Context(), string(used.Dir), h.dir, node.ImportOptions{SharesOnly: true}); err != nil || s.Taken != 1 {
		t.Errorf("Import of shares only: got %+v, %v", s, err)
	}
	if read(t, string(used.Dir), "private/node.privkey") != before {
		t.Error("an import of shares only changed the identity")
	}
	// Cut off before it was done, it keeps the node from running.
	if err := os.WriteFile(filepath.Join(string(fresh.Dir), "private/import"), []byte("unfinished\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := node.Load(string(fresh.Dir)); err == nil || !strings.Contains(err.Error(), "run lafs storage import again") {
		t.Errorf("Load of a node half imported: got %v", err)
	}
	if s, err := node.Import(t.Context(), string(fresh.Dir), h.dir, node.ImportOptions{}); err != nil || s.Taken != 1 {
		t.Errorf("Import again: got %+v, %v", s, err)
	}
	if _, err := node.Load(string(fresh.Dir)); err != nil {
		t.Errorf("Load after the import: %v", err)
	}
	// A directory of Tahoe-LAFS's own is not served in place.
	if _, err := node.Load(h.dir); err == nil {
		t.Error("Load of a Tahoe-LAFS server's directory: no error")
	}
}

// TestImportWithoutCertificate: slots can be read, and that is said.
func TestImportWithoutCertificate(t *testing.T) {
	h := newTahoeNode(t)
	h.mutable(h.tub, "mutable")
	if err := os.Remove(filepath.Join(h.dir, "private/node.pem")); err != nil {
		t.Fatal(err)
	}
	server := create(t, node.CreateOptions{Storage: true})
	s, err := node.Import(t.Context(), string(server.Dir), h.dir, node.ImportOptions{})
	if err != nil || s.Taken != 1 || s.Foreign != 1 || !slices.ContainsFunc(s.Notices, func(n string) bool { return strings.Contains(n, "not be written") }) {
		t.Errorf("Import: got %+v, %v", s, err)
	}
}

// TestImportTells: what is not taken over is told, and nothing secret of it.
func TestImportTells(t *testing.T) {
	h := newTahoeNode(t)
	h.write("tahoe.cfg", "[node]\nnickname = attic\n[client]\nintroducer.furl = pb://secret@tor:a.onion:1/secret\n[tor]\nonion = true\nonion.external_port = 4000\n"+
		"[storage]\nenabled = true\nreserved_space = 5G\nreadonly = true\nexpire.enabled = false\nexpire.mode = cutoff-date\ngrid_management = true\n")
	h.write("private/aliases", "tahoe: URI:DIR2:secret:secret\n")
	h.write("private/convergence", "secret\n")
	c := create(t, node.CreateOptions{Storage: true})
	sum, err := node.Import(t.Context(), string(c.Dir), h.dir, node.ImportOptions{DryRun: true})
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(sum.Notices, "\n")
	for _, want := range []string{"[node] nickname = attic", "[storage] reserved_space = 5G", "[storage] readonly = true", "[storage] expire.mode = cutoff-date",
		"tahoe_port = 4000", "grid manager", "private/aliases, private/convergence", "an introducer of Tahoe-LAFS's"} {
		if !strings.Contains(all, want) {
			t.Errorf("notices: got %s, want one with %q", all, want)
		}
	}
	for _, not := range []string{"secret:", "pb://", "private/servers.yaml,", "expire.enabled"} {
		if strings.Contains(all, not) {
			t.Errorf("notices: got %s, want none with %q", all, not)
		}
	}
}
