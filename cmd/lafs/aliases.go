package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"lafs/node"
	"lafs/node/durable"
	"lafs/shares/caps"
)

// defaultAlias is where a path without an alias begins.
const defaultAlias = "tahoe"

// maxAliases bounds the file of aliases, in bytes.
const maxAliases = 16 << 20

// An aliasFile is private/aliases of a node directory, as Tahoe-LAFS writes
// it: a line `name: cap` for each alias, and lines that begin with # for
// people. The last line of a name holds. It is a secret, of mode 0600.
type aliasFile struct{ private string }

func (a *app) aliasFile() aliasFile { return aliasFile{filepath.Join(a.dir, "private")} }

// aliases returns the caps of the node's aliases by their names.
func (a *app) aliases() (map[string]string, error) {
	if err := a.needNode(); err != nil {
		return nil, err
	}
	return a.aliasFile().load()
}

// needNode fails where the directory is not there, or not this user's.
func (a *app) needNode() error {
	if _, err := os.Stat(a.dir); errors.Is(err, fs.ErrNotExist) {
		return noNode(node.Dir(a.dir))
	}
	if _, err := os.Stat(a.aliasFile().private); errors.Is(err, fs.ErrPermission) {
		return foreignNode(node.Dir(a.dir))
	}
	return nil
}

func (f aliasFile) path() string { return filepath.Join(f.private, "aliases") }

// load returns the caps of the aliases by their names. private/root_dir.cap,
// from old nodes, is the default alias unless the file has one.
func (f aliasFile) load() (map[string]string, error) {
	out := map[string]string{}
	root, err := readBounded(filepath.Join(f.private, "root_dir.cap"), maxCap)
	if err != nil {
		return nil, err
	}
	if cap := strings.TrimSpace(root); cap != "" {
		out[defaultAlias] = cap
	}
	text, err := readBounded(f.path(), maxAliases)
	if err != nil {
		return nil, err
	}
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, cap, ok := strings.Cut(line, ":")
		if !ok {
			return nil, fmt.Errorf("private/aliases: line %d is not of the form `name: cap`", i+1)
		}
		out[strings.TrimSpace(name)] = strings.TrimSpace(cap)
	}
	return out, nil
}

// readBounded reads a small file; one that does not exist is empty.
func readBounded(path string, limit int64) (string, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = fmt.Errorf("private/%s has more than %d bytes", filepath.Base(path), limit)
	}
	return string(text), err
}

// add appends an alias. It is durable on return. Commands that run at the
// same time wait for each other, and none takes the other's alias away.
func (f aliasFile) add(name, cap string) error {
	lock, err := os.OpenFile(f.path()+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("lock the aliases: %w", err)
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("lock the aliases: %w", err)
	}
	if err := f.refuseTaken(name); err != nil {
		return err
	}
	text, err := readBounded(f.path(), maxAliases)
	if err != nil {
		return err
	}
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return durable.WriteFile(f.path(), []byte(text+name+": "+cap+"\n"), 0o600)
}

// refuseTaken fails when there is an alias of this name.
func (f aliasFile) refuseTaken(name string) error {
	have, err := f.load()
	if err != nil {
		return err
	}
	if _, ok := have[name]; ok {
		return fmt.Errorf("there is an alias %s already; choose another name, or take its line out of private/aliases", shown(name))
	}
	return nil
}

// aliasName reads the name of a new alias; a colon may end it.
func aliasName(arg string) (string, error) {
	name := strings.TrimSuffix(arg, ":")
	switch {
	case name == "":
		return "", errors.New("an alias needs a name")
	case isCap(name):
		return "", errors.New("that is a cap; the name of the alias comes first")
	case strings.ContainsAny(name, ": /") || strings.HasPrefix(name, "#") || name == "-":
		return "", errors.New("the name of an alias has no colon, space or slash in it, and begins with no #")
	case name != strings.ToValidUTF8(name, "") || name != printable(name):
		return "", errors.New("the name of an alias is of letters that can be printed")
	}
	return name, nil
}

// directoryCap reads the cap of a directory that can be listed.
func directoryCap(text string) (*caps.Directory, error) {
	c, err := caps.Parse(text)
	if err != nil {
		return nil, err
	}
	d, ok := c.(*caps.Directory)
	if !ok || d.ReadOnly() == nil {
		return nil, errors.New("that is not the cap of a directory; those begin with URI:DIR2")
	}
	return d, nil
}
