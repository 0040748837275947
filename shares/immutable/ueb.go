package immutable

import (
	"bytes"
	"fmt"
	"strconv"

	"lafs/shares/caps"
	"lafs/shares/hashes"
)

// maxUEB is the length that no UEB reaches, in bytes.
const maxUEB = 2000

// A ueb is a URI extension block: the hashes that prove a file's shares.
type ueb struct {
	segSize       int64
	crypttextHash hashes.Hash // of the whole ciphertext; nobody checks it
	crypttextRoot hashes.Hash
	shareRoot     hashes.Hash
}

// marshal writes the eleven keys in the order of their bytes.
func (u *ueb) marshal(g *geometry) []byte {
	var b []byte
	for _, f := range u.fields(g) {
		b = append(b, f.key...)
		b = append(b, ':')
		b = strconv.AppendInt(b, int64(len(f.value)), 10)
		b = append(b, ':')
		b = append(b, f.value...)
		b = append(b, ',')
	}
	return b
}

type uebField struct{ key, value string }

func (u *ueb) fields(g *geometry) []uebField {
	codec := func(size int64) string { return fmt.Sprintf("%d-%d-%d", size, g.needed, g.total) }
	return []uebField{
		{"codec_name", "crs"},
		{"codec_params", codec(g.segSize)},
		{"crypttext_hash", string(u.crypttextHash[:])},
		{"crypttext_root_hash", string(u.crypttextRoot[:])},
		{"needed_shares", strconv.Itoa(g.needed)},
		{"num_segments", strconv.Itoa(g.segments)},
		{"segment_size", strconv.FormatInt(g.segSize, 10)},
		{"share_root_hash", string(u.shareRoot[:])},
		{"size", strconv.FormatInt(g.size, 10)},
		{"tail_codec_params", codec(g.paddedTail())},
		{"total_shares", strconv.Itoa(g.total)},
	}
}

// parseUEB reads a UEB, whose hash is the cap's, that belongs to a file of
// this code and size. One that names others in good form gives ErrWrongCap;
// one that contradicts itself is corrupt. Keys that we do not know are passed
// over: old files have some.
func parseUEB(raw []byte, needed, total int, size int64) (*ueb, *geometry, error) {
	if len(raw) >= maxUEB {
		return nil, nil, corrupt("its UEB is too long")
	}
	values, err := cutUEB(raw)
	if err != nil {
		return nil, nil, err
	}
	if err := checkCap(values, needed, total, size); err != nil {
		return nil, nil, err
	}
	u := new(ueb)
	for key, to := range map[string]*hashes.Hash{
		"crypttext_hash": &u.crypttextHash, "crypttext_root_hash": &u.crypttextRoot, "share_root_hash": &u.shareRoot,
	} {
		if len(values[key]) != len(to) {
			return nil, nil, corrupt("its UEB has no good " + key)
		}
		*to = hashes.Hash(values[key])
	}
	text := string(values["segment_size"])
	u.segSize, err = strconv.ParseInt(text, 10, 64)
	k := int64(needed)
	if err != nil || u.segSize < 1 || u.segSize%k != 0 || u.segSize > roundUp(size, k) {
		return nil, nil, corrupt("its UEB has no good segment_size")
	}
	if u.segSize > roundUp(MaxSegmentSize, k) {
		return nil, nil, fmt.Errorf("the file has segments of %d bytes, and the most that can be read is %d", u.segSize, MaxSegmentSize)
	}
	g, err := newGeometry(needed, total, size, u.segSize)
	if err != nil {
		return nil, nil, err
	}
	// Everything else follows from what is known by now.
	for _, f := range u.fields(g) {
		if string(values[f.key]) != f.value {
			return nil, nil, corrupt("its UEB contradicts the cap or itself in " + f.key)
		}
	}
	return u, g, nil
}

// checkCap compares the numbers that cap and UEB both have. The cap's hash
// proves the UEB, so where they differ the cap was changed.
func checkCap(values map[string][]byte, needed, total int, size int64) error {
	wrong := false
	for _, f := range []struct {
		key    string
		inCap  int64
		atMost int64
	}{
		{"needed_shares", int64(needed), 256}, {"total_shares", int64(total), 256}, {"size", size, caps.MaxSize},
	} {
		text := string(values[f.key])
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || strconv.FormatInt(n, 10) != text || n < 1 || n > f.atMost {
			return corrupt("its UEB has no good " + f.key)
		}
		wrong = wrong || n != f.inCap
	}
	if wrong {
		return ErrWrongCap
	}
	return nil
}

// cutUEB splits a UEB into its values by key.
func cutUEB(raw []byte) (map[string][]byte, error) {
	values := make(map[string][]byte)
	for len(raw) > 0 {
		key, rest, ok := bytes.Cut(raw, []byte(":"))
		if !ok || !goodKey(key) {
			return nil, corrupt("its UEB has a bad key")
		}
		digits, rest, ok := bytes.Cut(rest, []byte(":"))
		n, err := strconv.Atoi(string(digits))
		if !ok || err != nil || n < 0 || n >= len(rest) || strconv.Itoa(n) != string(digits) || rest[n] != ',' {
			return nil, corrupt("its UEB has a value of the wrong length")
		}
		if _, twice := values[string(key)]; twice {
			return nil, corrupt("its UEB has a key twice")
		}
		values[string(key)] = rest[:n]
		raw = rest[n+1:]
	}
	return values, nil
}

func goodKey(key []byte) bool {
	for _, c := range key {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '-') {
			return false
		}
	}
	return len(key) > 0
}
