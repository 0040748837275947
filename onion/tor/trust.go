package tor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
)

// torUsers are the users that systems run Tor as.
var torUsers = []string{"debian-tor", "tor", "_tor", "toranon"}

// trustedOwner reports whether a file of that owner was made by root, by
// Tor, or by ourselves, and not by another local user.
func trustedOwner(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && trustedUser(uint64(stat.Uid))
}

func trustedUser(uid uint64) bool {
	if uid == 0 || uid == uint64(os.Geteuid()) {
		return true
	}
	return slices.ContainsFunc(torUsers, func(name string) bool {
		u, err := user.Lookup(name)
		return err == nil && u.Uid == strconv.FormatUint(uid, 10)
	})
}

// trustedSocket reports whether at is a unix socket that a trusted owner
// made. A loopback port is never trusted: nobody owns it.
func trustedSocket(at endpoint) bool {
	if at.network != "unix" {
		return false
	}
	info, err := os.Stat(at.addr)
	return err == nil && info.Mode().Type() == fs.ModeSocket && trustedOwner(info)
}

const cookieSize = 32

var errNotPermitted = errors.New("not permitted; add your user to the group of Tor (on Debian: adduser USER debian-tor) and log in again")

// cookieNames are the names under which Tor and its packages keep cookies. A
// port that is not trusted yet chooses which file we read, so it may not
// point at another one of 32 bytes that it happens to know.
var cookieNames = []string{"control_auth_cookie", "control.authcookie"}

// readCookie reads the cookie file that Tor named. With checked, nobody but
// a trusted owner may have written it, and others may not read it.
func readCookie(path string, checked bool) ([]byte, error) {
	if !filepath.IsAbs(path) {
		return nil, errors.New("read Tor's cookie: Tor does not say where it is")
	}
	// Without waiting: whoever answers may name a pipe.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("read Tor's cookie: %w", errNotPermitted)
	}
	if err != nil {
		return nil, fmt.Errorf("read Tor's cookie: %w", errors.Unwrap(err))
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read Tor's cookie: %w", errors.Unwrap(err))
	}
	if !info.Mode().IsRegular() || info.Size() != cookieSize {
		return nil, errors.New("read Tor's cookie: the file is no cookie")
	}
	if checked {
		if !slices.Contains(cookieNames, filepath.Base(path)) || !trustedOwner(info) || info.Mode().Perm()&0o027 != 0 {
			return nil, fmt.Errorf("the cookie file is not one that only Tor could have made: %w", errUnverified)
		}
	}
	cookie := make([]byte, cookieSize)
	if _, err := f.ReadAt(cookie, 0); err != nil {
		return nil, fmt.Errorf("read Tor's cookie: %w", err)
	}
	return cookie, nil
}
