package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"lafs/node/durable"
)

// A Dir is the path of a node directory. Its methods name the files in it.
// Directories in it have mode 0700, files 0600.
type Dir string

const (
	dirMode  fs.FileMode = 0o700
	fileMode fs.FileMode = 0o600

	// formatNumber is the format of the node directory as a whole. A
	// directory without the file, such as Tahoe-LAFS's own, is taken over.
	formatNumber = "1"
)

func (d Dir) path(elem ...string) string {
	return filepath.Join(append([]string{string(d)}, elem...)...)
}

// ConfigFile is tahoe.cfg.
func (d Dir) ConfigFile() string { return d.path("tahoe.cfg") }

// URLFile is node.url: where other programs find the web API.
func (d Dir) URLFile() string { return d.path("node.url") }

// Socket is private/gateway.sock: where our own command finds the web API.
func (d Dir) Socket() string { return d.path("private", "gateway.sock") }

// IntroducerFURLFile holds the address that an introducer gives to storage
// servers: it is the right to announce, and to learn who has announced.
func (d Dir) IntroducerFURLFile() string { return d.path("private", "introducer.furl") }

// SubscriberFURLFile holds the address that an introducer gives to clients: it
// is the right to learn who has announced, and no more.
func (d Dir) SubscriberFURLFile() string { return d.path("private", "subscriber.furl") }

// TorDir is where a tor that lafs launches keeps its data.
func (d Dir) TorDir() string { return d.path("private", "tor") }

func (d Dir) format() string     { return d.path("lafs.format") }
func (d Dir) pidFile() string    { return d.path("running.process") }
func (d Dir) lockFile() string   { return d.path("running.process.lock") }
func (d Dir) seqnumFile() string { return d.path("announcement-seqnum") }
func (d Dir) tokenFile() string  { return d.path("private", "api_auth_token") }

// IntroducersFile is private/introducers.yaml.
func (d Dir) IntroducersFile() string { return d.path("private", "introducers.yaml") }
func (d Dir) serversFile() string     { return d.path("private", "servers.yaml") }

func (d Dir) cacheFile(petname string) string {
	return d.path("private", "introducer_"+petname+"_cache.yaml")
}

func (d Dir) announcementsFile() string { return d.path("private", "announcements") }

// inside makes a configured path absolute: relative ones start at the node
// directory.
func (d Dir) inside(p string) string {
	if filepath.IsAbs(p) {
		return filepath.Clean(p)
	}
	return d.path(p)
}

// ErrNoNode is matched by Load's error when the directory holds no node.
var ErrNoNode = errors.New("no node there")

// prepare makes the directories of a node, with the modes they must have,
// and refuses a format that is newer than ours.
func (d Dir) prepare() error {
	for _, p := range []string{string(d), d.path("private")} {
		if err := os.MkdirAll(p, dirMode); err != nil {
			return fmt.Errorf("make node directory: %w", err)
		}
		if err := os.Chmod(p, dirMode); err != nil {
			return fmt.Errorf("close node directory to others: %w", err)
		}
	}
	switch have, err := readLine(d.format()); {
	case errors.Is(err, fs.ErrNotExist):
		return durable.WriteFile(d.format(), []byte(formatNumber+"\n"), fileMode)
	case err != nil:
		return fmt.Errorf("read node directory's format: %w", err)
	case have != formatNumber:
		return fmt.Errorf("the node directory has format %.20q and this lafs knows only %s: use a newer lafs", have, formatNumber)
	}
	return nil
}

// maxSmallFile bounds what is read of any file that should hold one line.
const maxSmallFile = 64 << 10

// readLine returns the first line of a small file, without space around it.
func readLine(path string) (string, error) {
	b, err := readSmall(path, maxSmallFile)
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return strings.TrimSpace(line), nil
}

// readSmall reads a file whole, and refuses one that is larger than limit
// bytes or no regular file. Its errors hold the path, never the content.
func readSmall(path string, limit int64) ([]byte, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", filepath.Base(path))
	}
	if st.Size() > limit {
		return nil, fmt.Errorf("%s has %d bytes, more than the %d that are possible", filepath.Base(path), st.Size(), limit)
	}
	return os.ReadFile(path)
}

// ensure returns the first line of a file, and makes the file with what
// fresh returns when there is none. The answer is durable.
func ensure(path string, fresh func() (string, error)) (string, error) {
	line, err := readLine(path)
	if err == nil && line != "" {
		return line, os.Chmod(path, fileMode)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	line, err = fresh()
	if err != nil {
		return "", err
	}
	return line, durable.WriteFile(path, []byte(line+"\n"), fileMode)
}
