package caps

import (
	"fmt"
	"log/slog"
	"strings"
)

// dirKinds tells, for each kind of file, the kind of a directory kept in it.
var dirKinds = map[Kind]Kind{
	KindCHK:          KindDirCHK,
	KindCHKVerifier:  KindDirCHKVerifier,
	KindLIT:          KindDirLIT,
	KindSSK:          KindDir,
	KindSSKReader:    KindDirReader,
	KindSSKVerifier:  KindDirVerifier,
	KindMDMF:         KindDirMDMF,
	KindMDMFReader:   KindDirMDMFReader,
	KindMDMFVerifier: KindDirMDMFVerifier,
}

var fileKinds = func() map[Kind]Kind {
	m := make(map[Kind]Kind, len(dirKinds))
	for file, dir := range dirKinds {
		m[dir] = file
	}
	return m
}()

// fileKind tells the kind of file that a directory of kind dir is kept in.
func fileKind(dir Kind) (file Kind, ok bool) {
	file, ok = fileKinds[dir]
	return file, ok
}

// A Directory is a cap to a directory: what the cap of the file that the
// directory is kept in gives, and the promise that a directory is there.
// As secret as that cap.
type Directory struct{ node Cap }

// NewDirectory returns the directory kept in the file that node names.
// Directories and unknown caps hold no directory.
func NewDirectory(node Cap) (*Directory, error) {
	if _, ok := dirKinds[node.Kind()]; !ok {
		return nil, fmt.Errorf("%w: a %s cap is no file that could hold a directory", ErrSyntax, node.Kind())
	}
	return &Directory{node}, nil
}

// File returns the cap of the file that the directory is kept in.
func (d *Directory) File() Cap { return d.node }

// Kind returns one of the KindDir constants.
func (d *Directory) Kind() Kind { return dirKinds[d.node.Kind()] }

// Reveal returns the whole text.
func (d *Directory) Reveal() string {
	return d.Kind().prefix() + strings.TrimPrefix(d.node.Reveal(), d.node.Kind().prefix())
}

// ReadOnly returns the same directory's *Directory that cannot write.
func (d *Directory) ReadOnly() Cap { return &Directory{d.node.ReadOnly()} }

// Verifier returns the *Directory whose file is a verify cap; nil if the
// directory is kept in a LIT.
func (d *Directory) Verifier() Cap {
	v := d.node.Verifier()
	if v == nil {
		return nil
	}
	return &Directory{v}
}

// Format prints what the file's cap prints.
func (d Directory) Format(f fmt.State, verb rune) { d.node.Format(f, verb) }

// LogValue logs what the file's cap logs.
func (d Directory) LogValue() slog.Value { return d.node.LogValue() }
