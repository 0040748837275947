package main

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// A place is somewhere on the grid: a cap, and names below it. The cap is a
// secret.
type place struct {
	cap   string
	names []string
	// slash tells that it was written with a slash at its end.
	slash bool
	// root says where the path begins, without the cap.
	root string
	// disk is a file on the disk of the name that was given, if there is one
	// and no alias says that the grid was meant.
	disk string
}

// String writes a place for a person, without its cap.
func (p place) String() string {
	text := p.root
	for i, name := range p.names {
		if i > 0 || !strings.HasSuffix(text, ":") {
			text += "/"
		}
		text += shown(name)
	}
	return text
}

// url is the path of a request about this place. It holds the cap.
func (p place) url() string {
	var b strings.Builder
	b.WriteString("/uri/" + url.PathEscape(p.cap))
	for _, name := range p.names {
		b.WriteString("/" + url.PathEscape(name))
	}
	return b.String()
}

// explain says of what is not found where it was looked for, and more where
// the path is written as on a disk. Tahoe-LAFS lets names be of dots, so those
// were looked for too.
func (p place) explain(err error) error {
	if !errors.Is(err, errNotFound) || len(p.names) == 0 {
		return err
	}
	err = fmt.Errorf("%w: %s", err, p)
	switch {
	case slices.Contains(p.names, ".") || slices.Contains(p.names, ".."):
		return fmt.Errorf("%w; . and .. mean nothing on the grid: write the path from its start", err)
	case p.disk != "":
		return fmt.Errorf("%w; %w", err, capInFile(p.disk))
	}
	return err
}

// capInFile is said where the name of a file was given in place of the cap in
// it.
func capInFile(name string) error {
	return fmt.Errorf("if the cap in the file %s of the disk is meant, write: --cap-file %[1]s", shown(name))
}

// onDisk is name where a file of the disk has it.
func onDisk(name string) string {
	if st, err := os.Stat(name); err != nil || !st.Mode().IsRegular() {
		return ""
	}
	return name
}

// child is the place of this name in the directory p.
func (p place) child(name string) place {
	return place{cap: p.cap, root: p.root, names: append(p.names[:len(p.names):len(p.names)], name)}
}

// parent is the directory that p is in, and its name there. A cap alone has
// none.
func (p place) parent() (dir place, name string, ok bool) {
	n := len(p.names)
	if n == 0 {
		return place{}, "", false
	}
	return place{cap: p.cap, root: p.root, names: p.names[:n-1]}, p.names[n-1], true
}

// A finder reads the paths of one command.
type finder struct {
	a       *app
	dirCap  string // --dir-cap
	capFile string // --cap-file

	aliases map[string]string // read when first needed
	stdin   string            // the cap that - stands for, once it was read
}

// finder makes the flags that say where paths begin.
func (a *app) finder(cmd *cobra.Command) *finder {
	f := &finder{a: a}
	cmd.Flags().StringVar(&f.dirCap, "dir-cap", "", "the directory where paths without an alias begin")
	cmd.Flags().StringVar(&f.capFile, "cap-file", "", "read the cap of what is meant, or of where paths without an alias begin, from this file; - is standard input")
	cmd.MarkFlagsMutuallyExclusive("dir-cap", "cap-file")
	return f
}

// givenCap stands for a cap where a place is shown.
const givenCap = "the given cap"

// isCap tells whether a path begins with a cap.
func isCap(spec string) bool {
	spec = strings.TrimPrefix(strings.TrimPrefix(spec, "ro."), "imm.")
	return strings.HasPrefix(spec, "URI:")
}

// onGrid reads a path on the grid: ALIAS:path, CAP, CAP/path, CAP:./path, a
// path below the default alias, or - for a cap on standard input.
func (f *finder) onGrid(spec string) (place, error) {
	spec = strings.Trim(spec, " ")
	if root, path, ok := cutCap(spec); ok {
		return f.below(root, givenCap, path)
	}
	if spec == "-" {
		cap, err := f.readStdin()
		return place{cap: cap, root: givenCap}, err
	}
	alias, path, ok := cutAlias(spec)
	if ok {
		return f.belowAlias(alias, path)
	}
	p, err := f.belowDefault(path)
	if f.capFile == "" && f.dirCap == "" {
		p.disk = onDisk(spec)
	}
	if errors.Is(err, errNoDefault) && p.disk != "" {
		err = fmt.Errorf("%w; %w", err, capInFile(p.disk))
	}
	return p, err
}

// onGridOrDisk reads a path of cp, where one without an alias is on the
// disk; local says so.
func (f *finder) onGridOrDisk(spec string) (p place, local bool, err error) {
	if _, _, ok := cutAlias(spec); !ok && !isCap(spec) && spec != "-" {
		return place{}, true, nil
	}
	p, err = f.onGrid(spec)
	if err != nil && !isCap(spec) && onDisk(spec) != "" {
		err = fmt.Errorf("%w; if the file of the disk is meant, write: ./%s", err, shown(spec))
	}
	return p, false, err
}

// cutCap splits a path that begins with a cap.
func cutCap(spec string) (cap, path string, ok bool) {
	if !isCap(spec) {
		return "", "", false
	}
	if cap, path, ok := strings.Cut(spec, ":./"); ok {
		return cap, path, true
	}
	cap, path, _ = strings.Cut(spec, "/")
	return cap, path, true
}

// cutAlias splits a path that begins with an alias. Without one all of it is
// path: a colon after a slash is part of a name.
func cutAlias(spec string) (alias, path string, ok bool) {
	alias, path, ok = strings.Cut(spec, ":")
	if !ok || strings.Contains(alias, "/") {
		return "", spec, false
	}
	return alias, path, true
}

func (f *finder) belowAlias(alias, path string) (place, error) {
	if err := f.loadAliases(); err != nil {
		return place{}, err
	}
	cap, ok := f.aliases[alias]
	if !ok {
		return place{}, noAlias(alias)
	}
	return f.below(cap, shown(alias)+":", path)
}

// errNoDefault is a path that needs the default alias.
var errNoDefault = errors.New("the path names no alias, and there is no default alias " + defaultAlias + "; make it with: lafs create-alias " + defaultAlias)

func noAlias(name string) error {
	return fmt.Errorf("there is no alias %s; make it with lafs create-alias or lafs add-alias", shown(name))
}

func (f *finder) belowDefault(path string) (place, error) {
	switch {
	case f.dirCap != "":
		return f.below(strings.TrimSpace(f.dirCap), givenCap, path)
	case f.capFile == "-":
		cap, err := f.readStdin()
		if err != nil {
			return place{}, err
		}
		return f.below(cap, givenCap, path)
	case f.capFile != "":
		file, err := os.Open(f.capFile)
		if err != nil {
			return place{}, err
		}
		defer file.Close()
		cap, err := readOneCap(file)
		if err != nil {
			return place{}, err
		}
		return f.below(cap, givenCap, path)
	}
	if err := f.loadAliases(); err != nil {
		return place{}, err
	}
	cap, ok := f.aliases[defaultAlias]
	if !ok {
		return place{}, errNoDefault
	}
	return f.below(cap, defaultAlias+":", path)
}

func (f *finder) loadAliases() (err error) {
	if f.aliases == nil {
		f.aliases, err = f.a.aliases()
	}
	return err
}

func (f *finder) readStdin() (string, error) {
	if f.stdin != "" {
		return f.stdin, nil
	}
	cap, err := readOneCap(f.a.input)
	if err == nil {
		f.stdin = cap
	}
	return cap, err
}

// readOneCap reads a cap, alone on a line. Its errors never quote it.
func readOneCap(from io.Reader) (string, error) {
	text, err := io.ReadAll(io.LimitReader(from, maxCap))
	if err != nil {
		return "", fmt.Errorf("read the cap: %w", err)
	}
	cap := strings.TrimSpace(string(text))
	switch {
	case cap == "":
		return "", errors.New("one line with one cap was expected, and there is nothing")
	case strings.ContainsAny(cap, "\r\n"):
		return "", errors.New("one line with one cap was expected")
	}
	return cap, nil
}

// below is the place of a path, whose names are parted by slashes, under a
// cap.
func (f *finder) below(cap, root, path string) (place, error) {
	p := place{cap: cap, root: root}
	if path == "" {
		return p, nil
	}
	if strings.HasPrefix(path, "/") && path != "/" {
		return place{}, errors.New("a path on the grid does not begin with a slash")
	}
	p.slash = strings.HasSuffix(path, "/")
	if path = strings.Trim(path, "/"); path == "" {
		return p, nil
	}
	p.names = strings.Split(path, "/")
	for _, name := range p.names {
		if name == "" {
			return place{}, errors.New("there are two slashes in a row in the path")
		}
		if strings.ToValidUTF8(name, "") != name {
			return place{}, errors.New("a name on the grid is UTF-8")
		}
	}
	return p, nil
}
