package tor

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// A fakeControl is a control port that answers as it is told.
type fakeControl struct {
	path   string
	answer func(line string) (string, bool) // false: as a Tor would

	auth   string // the AUTH line of PROTOCOLINFO, after "AUTH "
	cookie []byte

	mu    sync.Mutex
	more  *sync.Cond // lines has grown
	lines []string   // all that was asked
	conns []net.Conn
}

func tempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "lc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func newControl(t *testing.T, f *fakeControl) *fakeControl {
	t.Helper()
	f.more = sync.NewCond(&f.mu)
	f.path = filepath.Join(tempDir(t), "control")
	l, err := net.Listen("unix", f.path)
	if err != nil {
		t.Fatal(err)
	}
	if f.auth == "" {
		f.auth = "METHODS=NULL"
	}
	var wg sync.WaitGroup
	t.Cleanup(func() { l.Close(); f.cut(); wg.Wait() })
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			f.mu.Lock()
			f.conns = append(f.conns, c)
			f.mu.Unlock()
			wg.Go(func() { defer c.Close(); f.serve(c) })
		}
	})
	return f
}

// cut ends all connections.
func (f *fakeControl) cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.conns {
		c.Close()
	}
}

func (f *fakeControl) serve(c net.Conn) {
	in := bufio.NewScanner(c)
	var want []byte
	for in.Scan() {
		line := in.Text()
		f.mu.Lock()
		f.lines = append(f.lines, line)
		f.more.Broadcast()
		f.mu.Unlock()
		if f.answer != nil {
			if text, ok := f.answer(line); ok {
				io.WriteString(c, text)
				continue
			}
		}
		io.WriteString(c, f.asTor(line, &want))
	}
}

func (f *fakeControl) asTor(line string, want *[]byte) string {
	command, rest, _ := strings.Cut(line, " ")
	switch command {
	case "PROTOCOLINFO":
		return "250-PROTOCOLINFO 1\r\n250-AUTH " + f.auth + "\r\n250-VERSION Tor=\"0.4.9.11\"\r\n250 OK\r\n"
	case "AUTHCHALLENGE":
		nonce, _ := hex.DecodeString(strings.Fields(rest)[1])
		ours := make([]byte, 32)
		hash := func(key string) []byte {
			h := hmac.New(sha256.New, []byte(key))
			h.Write(f.cookie)
			h.Write(nonce)
			h.Write(ours)
			return h.Sum(nil)
		}
		*want = hash("Tor safe cookie authentication controller-to-server hash")
		return fmt.Sprintf("250 AUTHCHALLENGE SERVERHASH=%X SERVERNONCE=%X\r\n",
			hash("Tor safe cookie authentication server-to-controller hash"), ours)
	case "AUTHENTICATE":
		if strings.Contains(f.auth, "SAFECOOKIE") && rest != hex.EncodeToString(*want) {
			return "515 Authentication failed\r\n"
		}
		return "250 OK\r\n"
	case "GETINFO":
		switch rest {
		case "version":
			return "250-version=0.4.9.11 (git-x)\r\n250 OK\r\n"
		case "status/bootstrap-phase":
			return "250-status/bootstrap-phase=NOTICE BOOTSTRAP PROGRESS=100 TAG=done SUMMARY=\"Done\"\r\n250 OK\r\n"
		case "net/listeners/socks":
			return "250-net/listeners/socks=\"127.0.0.1:9050\" \"unix:/run/tor/socks\"\r\n250 OK\r\n"
		}
		return "552 Unrecognized key\r\n"
	case "ADD_ONION":
		return "250-ServiceID=x\r\n250 OK\r\n"
	}
	return "250 OK\r\n"
}

func (f *fakeControl) asked(prefix string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.matching(prefix)
}

// await waits until n lines with the prefix were asked.
func (f *fakeControl) await(prefix string, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.matching(prefix)) < n {
		f.more.Wait()
	}
}

func (f *fakeControl) matching(prefix string) (found []string) {
	for _, line := range f.lines {
		if strings.HasPrefix(line, prefix) {
			found = append(found, line)
		}
	}
	return found
}

func (f *fakeControl) endpoint() endpoint { return endpoint{network: "unix", addr: f.path} }
