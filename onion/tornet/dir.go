package tornet

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// The files of a network's directory, beside one directory a tor.
const (
	recordFile   = "net.json"
	recordTemp   = "net.json.tmp"
	fragmentFile = "torrc"
	emptyFile    = "empty"
	seedDir      = "seed"

	authorityName = "auth0"
	relayPrefix   = "relay"
	clientPrefix  = "client"
)

// maxSocketPath is the longest path of a unix socket on Linux, in bytes.
const maxSocketPath = 107

func serverNames() []string {
	names := []string{authorityName}
	for i := 1; i <= Relays; i++ {
		names = append(names, fmt.Sprintf("%s%d", relayPrefix, i))
	}
	return names
}

func controlPath(dir, name string) string { return filepath.Join(dir, name, "control") }
func socksPath(dir, name string) string   { return filepath.Join(dir, name, "socks") }

// claimDir makes dir, or takes it if it is empty. It says whether it made it.
func claimDir(dir string) (made bool, err error) {
	err = os.Mkdir(dir, 0o700)
	if err == nil {
		return true, nil
	}
	if !errors.Is(err, fs.ErrExist) {
		return false, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		if e.Name() == recordFile {
			return false, fmt.Errorf("a tor network is already there (%s); end it with: tornet down --dir DIR", recordFile)
		}
	}
	if len(entries) > 0 {
		return false, errors.New("the directory is not empty; name one that is empty or absent")
	}
	// Tor refuses a data directory below one that others may write.
	return false, os.Chmod(dir, 0o700)
}

// removeFiles removes what a network keeps in dir and nothing else, and dir
// itself if the network made it.
func removeFiles(dir string, madeDir bool) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		if isOurs(e.Name()) && e.Name() != recordFile {
			errs = append(errs, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	// The record goes last: while it is there, down can go on.
	if err := os.Remove(filepath.Join(dir, recordFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if madeDir {
		return os.Remove(dir)
	}
	return nil
}

func isOurs(name string) bool {
	switch name {
	case recordFile, recordTemp, fragmentFile, emptyFile, seedDir, authorityName:
		return true
	}
	for _, prefix := range []string{relayPrefix, clientPrefix} {
		rest, ok := strings.CutPrefix(name, prefix)
		if ok && rest != "" && strings.Trim(rest, "0123456789") == "" {
			return true
		}
	}
	return false
}
