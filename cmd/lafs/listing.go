package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// The bounds of a directory's JSON, which is read entry by entry: of the whole
// in bytes, and of the entries, of which a node of ours writes no more.
const (
	maxListing = 1 << 30
	maxEntries = 1 << 20
)

var (
	errNotJSON = errors.New("the node's answer is not what was expected")
	errTooMany = errors.New("the directory has more entries than a node of ours lists")
	errTooLong = errors.New("the node's answer has more than " + humanSize(maxListing))
)

// A bounded body fails where more than left bytes come.
type bounded struct {
	io.ReadCloser
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, errTooLong
	}
	return n, err
}

// readEntry reads an entry as UnmarshalJSON does, and hands what is in it on,
// one after the other, so that no more of it than one is in memory; most is how
// many there may be.
func readEntry(dec *json.Decoder, most int, child func(name string, e entry) error) (*entry, error) {
	var e entry
	if err := expect(dec, '['); err != nil {
		return nil, err
	}
	if err := dec.Decode(&e.kind); err != nil {
		return nil, broken(err)
	}
	if err := expect(dec, '{'); err != nil {
		return nil, err
	}
	// What is not a child is small, and read as ever.
	rest := map[string]json.RawMessage{}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, broken(err)
		}
		if key == "children" {
			if err := readChildren(dec, most, child); err != nil {
				return nil, err
			}
			continue
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, broken(err)
		}
		rest[key.(string)] = value
	}
	for _, end := range []json.Delim{'}', ']'} {
		if err := expect(dec, end); err != nil {
			return nil, err
		}
	}
	text, err := json.Marshal(rest)
	if err == nil {
		err = json.Unmarshal(text, &e.entryFacts)
	}
	if err != nil {
		return nil, errNotJSON
	}
	e.Children = nil // Names are read as Unmarshal does, in any case.
	return &e, nil
}

func readChildren(dec *json.Decoder, most int, child func(name string, e entry) error) error {
	if err := expect(dec, '{'); err != nil {
		return err
	}
	for n := 0; dec.More(); n++ {
		if n == most {
			return errTooMany
		}
		name, err := dec.Token()
		if err != nil {
			return broken(err)
		}
		var e entry
		if err := dec.Decode(&e); err != nil {
			return broken(err)
		}
		if err := child(name.(string), e); err != nil {
			return err
		}
	}
	return expect(dec, '}')
}

// expect reads a bracket.
func expect(dec *json.Decoder, want json.Delim) error {
	got, err := dec.Token()
	if err != nil {
		return broken(err)
	}
	if got != want {
		return errNotJSON
	}
	return nil
}

// broken tells an answer that ends from one that is wrong, and from one that
// has no end.
func broken(err error) error {
	_, wrong := errors.AsType[*json.SyntaxError](err)
	_, other := errors.AsType[*json.UnmarshalTypeError](err)
	switch {
	case errors.Is(err, errTooLong):
		return errTooLong
	case wrong || other:
		return errNotJSON
	}
	return errBrokeOff
}

// copyJSON writes JSON as it comes, and a line's end behind it. ascii writes
// it so that nothing in it steers a terminal.
func copyJSON(w io.Writer, text io.Reader, ascii bool) error {
	in, out := bufio.NewReader(text), bufio.NewWriter(w)
	last := ' '
	for {
		r, size, err := in.ReadRune()
		if err == io.EOF {
			break
		}
		if err != nil {
			return errors.Join(broken(err), out.Flush())
		}
		last = r
		switch {
		case r == '\n' || r >= ' ' && r < 0x7f:
			out.WriteByte(byte(r))
		case !ascii && r == utf8.RuneError && size == 1:
			in.UnreadRune()
			b, _ := in.ReadByte()
			out.WriteByte(b)
		case !ascii:
			out.WriteRune(r)
		case r > 0xffff:
			r -= 0x10000
			fmt.Fprintf(out, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			fmt.Fprintf(out, `\u%04x`, r)
		}
	}
	if last != '\n' {
		out.WriteByte('\n')
	}
	return out.Flush()
}
