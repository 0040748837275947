package authority

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"lafs/node/store"
)

// format is the format number of the file.
const format = 1

// maxFile bounds the file, in bytes.
const maxFile = 1 << 20

// A bookFile is the file's JSON.
type bookFile struct {
	Format      int         `json:"format"`
	Next        uint32      `json:"next"`
	Authorities []entryFile `json:"authorities"`
}

// An entryFile is one authority. Hash is BLAKE2b-256 of the swissnum in
// hexadecimal, and empty for the default one, whose swissnum is the node's.
type entryFile struct {
	Number uint32 `json:"number"`
	Name   string `json:"name"`
	Quota  *int64 `json:"quota,omitempty"`
	Off    bool   `json:"off,omitempty"`
	Hash   string `json:"swissnum_blake2b,omitempty"`
}

func (b *Book) marshal() []byte {
	f := bookFile{Format: format, Next: uint32(b.next)}
	for _, e := range b.entries {
		out := entryFile{Number: uint32(e.Number), Name: e.Name, Off: e.Off}
		if e.Quota != NoQuota {
			out.Quota = &e.Quota
		}
		if e.Number != store.Default {
			out.Hash = hex.EncodeToString(e.hash[:])
		}
		f.Authorities = append(f.Authorities, out)
	}
	text, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		panic(err) // It holds nothing that JSON can't.
	}
	return append(text, '\n')
}

var errDamaged = errors.New("private/storage.authorities is damaged: restore it from a backup, or remove it and grant again")

// read reads the file, or makes up the book that stands for none.
func read(path string) (*Book, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &Book{path: path, next: store.Default + 1, entries: []Entry{{Number: store.Default, Name: DefaultName, Quota: NoQuota}}}, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := f.Chmod(0o600); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	b, err := parse(text)
	if err != nil {
		return nil, err
	}
	b.path = path
	return b, nil
}

// parse reads a book. Its errors quote nothing.
func parse(text []byte) (*Book, error) {
	var in bookFile
	d := json.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&in); err != nil || len(text) > maxFile {
		return nil, errDamaged
	}
	if in.Format > format {
		return nil, fmt.Errorf("private/storage.authorities has format %d and this lafs knows only %d: use a newer lafs", in.Format, format)
	}
	b := &Book{next: store.Authority(in.Next)}
	names := map[string]bool{}
	last := store.Own
	for i, e := range in.Authorities {
		hash, err := hex.DecodeString(e.Hash)
		who := store.Authority(e.Number)
		isDefault := i == 0
		switch {
		case err != nil, checkName(e.Name) != nil, names[e.Name], who <= last, who >= b.next, e.Quota != nil && *e.Quota < 0,
			isDefault != (who == store.Default), isDefault != (e.Name == DefaultName), isDefault != (len(hash) == 0), !isDefault && len(hash) != 32:
			return nil, errDamaged
		}
		names[e.Name], last = true, who
		out := Entry{Number: who, Name: e.Name, Quota: NoQuota, Off: e.Off}
		if e.Quota != nil {
			out.Quota = *e.Quota
		}
		copy(out.hash[:], hash)
		b.entries = append(b.entries, out)
	}
	if in.Format != format || len(b.entries) == 0 || len(b.entries) > maxEntries {
		return nil, errDamaged
	}
	return b, nil
}
