package node

import (
	"crypto/sha1"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"gopkg.in/ini.v1"

	"lafs/onion"
	"lafs/shares/caps"
)

// A otherServer is what a storage server of Tahoe-LAFS's has that is taken
// over. It holds secrets, and prints none.
type otherServer struct {
	dir     Dir    // "" for a storage directory alone
	storage string // the storage directory
	cfg     *ini.File
	// identity are the files that make a node this server, notices what the
	// operator should know about them.
	identity []identityFile
	notices  []string
	nodeKey  string   // secret
	tubID    [20]byte // zero without node.pem
}

// An identityFile is to be written into the node's directory.
type identityFile struct {
	what string // for the operator
	path func(*Config) string
	text string // secret
}

func inDir(elem ...string) func(*Config) string {
	return func(c *Config) string { return c.Dir.path(elem...) }
}

// openTahoe reads what there is, and refuses a server that runs.
func openTahoe(path string) (*otherServer, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("find the other server: %w", err)
	}
	text, err := readSmall(Dir(abs).ConfigFile(), maxConfig)
	if errors.Is(err, fs.ErrNotExist) {
		return openStorageDir(abs)
	}
	if err != nil {
		return nil, fmt.Errorf("read the other server's tahoe.cfg: %w", err)
	}
	t := &otherServer{dir: Dir(abs), storage: Dir(abs).path("storage")}
	if pid := t.running(); pid != 0 {
		return nil, fmt.Errorf("the other server is running (process %d): stop it first, and never start it again", pid)
	}
	// Its settings are looked at one by one, and those that do not matter not
	// judged.
	f, err := ini.LoadSources(iniOptions, text)
	if err != nil {
		return nil, fmt.Errorf("the other server's tahoe.cfg: %w", err)
	}
	t.cfg = f
	if p := value(f, "storage", "storage_dir"); p != "" {
		t.storage = t.dir.inside(p)
	}
	onionKey := t.dir.path("private", "tor_onion.privkey")
	if p := value(f, "tor", "onion.private_key_file"); p != "" {
		onionKey = t.dir.inside(p)
	}
	if err := t.readIdentity(onionKey); err != nil {
		return nil, err
	}
	return t, nil
}

// openStorageDir takes shares from a storage directory alone.
func openStorageDir(abs string) (*otherServer, error) {
	if info, err := os.Stat(filepath.Join(abs, "shares")); err != nil || !info.IsDir() {
		return nil, errors.New("there is no Tahoe-LAFS storage server: name its node directory, which has tahoe.cfg, or its storage directory, which has shares")
	}
	return &otherServer{storage: abs}, nil
}

// running returns the process of the other server, 0 if it does not run.
func (t *otherServer) running() int {
	if pid := liveProcess(t.dir); pid != 0 {
		return pid
	}
	// Releases before 2022 have another file, without the time of creation.
	line, err := readLine(t.dir.path("twistd.pid"))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(line)
	if err != nil || pid <= 0 || errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return 0
	}
	return pid
}

// refuseSame keeps a directory from being imported into itself.
func (t *otherServer) refuseSame(c *Config) error {
	same := func(a, b string) bool {
		x, err1 := os.Stat(a)
		y, err2 := os.Stat(b)
		return err1 == nil && err2 == nil && os.SameFile(x, y)
	}
	if t.dir != "" && same(string(t.dir), string(c.Dir)) || same(t.storage, c.StorageDir) {
		return errors.New("a server can not be imported into its own directory: make a new node with lafs create-node, and name that with -d")
	}
	return nil
}

// readIdentity reads the keys; what is missing is a notice.
func (t *otherServer) readIdentity(onionKey string) error {
	for _, read := range []func() error{t.readTub, t.readNodeKey, t.readSeed, t.readFURL, func() error { return t.readOnion(onionKey) }} {
		if err := read(); err != nil {
			return err
		}
	}
	return nil
}

func (t *otherServer) add(what, text string, path func(*Config) string) {
	t.identity = append(t.identity, identityFile{what, path, text})
}

func (t *otherServer) readTub() error {
	text, err := readSmall(t.dir.path("private", "node.pem"), maxSmallFile)
	if errors.Is(err, fs.ErrNotExist) {
		t.notices = append(t.notices, "there is no private/node.pem, so the node can not have the other's tub id: mutable files and directories on it can be read, and not be written")
		return nil
	}
	if err != nil {
		return fmt.Errorf("the other server's private/node.pem: %w", err)
	}
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return errors.New("the other server's private/node.pem holds no certificate")
		}
		if block.Type == "CERTIFICATE" {
			t.tubID = sha1.Sum(block.Bytes)
			break
		}
	}
	t.add("tub id (node.pem)", string(text), inDir("private", "node.pem"))
	t.add("my_nodeid", caps.Encoding.EncodeToString(t.tubID[:])+"\n", inDir("my_nodeid"))
	return nil
}

func (t *otherServer) readNodeKey() error {
	text, err := readLine(t.dir.path("private", "node.privkey"))
	if errors.Is(err, fs.ErrNotExist) {
		t.notices = append(t.notices, "there is no private/node.privkey, so the node gets a new server id")
		return nil
	}
	if err != nil {
		return fmt.Errorf("the other server's private/node.privkey: %w", err)
	}
	key, err := parseNodeKey(text)
	if err != nil {
		return fmt.Errorf("the other server's %w", err)
	}
	t.nodeKey = text
	id := identity{key: key}
	t.add("server id (node.privkey)", text+"\n", inDir("private", "node.privkey"))
	t.add("node.pubkey", pubPrefix+caps.Encoding.EncodeToString(id.public())+"\n", inDir("node.pubkey"))
	return nil
}

// readSeed: a server that is older than the file is looked for by its tub id
// (FORMATS.md section 3.6).
func (t *otherServer) readSeed() error {
	text, err := readLine(t.dir.path("permutation-seed"))
	if errors.Is(err, fs.ErrNotExist) && t.tubID != [20]byte{} {
		text, err = caps.Encoding.EncodeToString(t.tubID[:]), nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		t.notices = append(t.notices, "there is no permutation-seed, so clients look for new shares in another order")
		return nil
	}
	if err != nil {
		return fmt.Errorf("the other server's permutation-seed: %w", err)
	}
	if seed, err := caps.Decode(text); err != nil || len(seed) == 0 {
		return errors.New("the other server's permutation-seed is damaged")
	}
	t.add("permutation seed", text+"\n", inDir("permutation-seed"))
	return nil
}

func (t *otherServer) readFURL() error {
	text, err := readLine(t.dir.path("private", "storage.furl"))
	if errors.Is(err, fs.ErrNotExist) {
		t.notices = append(t.notices, "there is no private/storage.furl, so the right to store is a new one")
		return nil
	}
	if err != nil {
		return fmt.Errorf("the other server's private/storage.furl: %w", err)
	}
	if !strings.HasPrefix(text, "pb://") || strings.HasSuffix(text, "/") {
		return errors.New("the other server's private/storage.furl is damaged")
	}
	t.add("right to store (storage.furl)", text+"\n", inDir("private", "storage.furl"))
	return nil
}

func (t *otherServer) readOnion(path string) error {
	text, err := readLine(path)
	if errors.Is(err, fs.ErrNotExist) {
		t.notices = append(t.notices, "there is no onion key, so the node gets a new onion address")
		return nil
	}
	if err != nil {
		return errors.New("the other server's onion key can not be read")
	}
	if _, err := onion.ParseKey(text); err != nil {
		return errors.New("the other server's onion key is not one of Tor's v3 keys (ED25519-V3:...): a v2 onion address is no longer possible")
	}
	t.add("onion address (tor_onion.privkey)", text+"\n", func(c *Config) string { return c.keyFile })
	return nil
}
