package hashes_test

import (
	"bytes"
	"encoding/base32"
	"testing"

	"lafs/shares/hashes"
)

var b32 = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

func unbase32(t *testing.T, s string) []byte {
	t.Helper()
	raw, err := b32.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// Answers published with Tahoe-LAFS.
func TestKnownAnswers(t *testing.T) {
	si := hashes.StorageIndex(nil)
	block := hashes.Block(nil)
	ueb := hashes.UEB(nil)
	segment := hashes.CrypttextSegment(nil)
	readKey := hashes.MutableReadKey(nil)
	slot := hashes.MutableStorageIndex(nil)
	key := hashes.NewConvergence([]byte("converge"), 3, 10, 100).Key()
	for _, tc := range []struct {
		name, want string
		got        []byte
	}{
		{"StorageIndex", "qb5igbhcc5esa6lwqorsy7e6am", si[:]},
		{"Block", "msjr5bh4evuh7fa3zw7uovixfbvlnstr5b65mrerwfnvjxig2jvq", block[:]},
		{"UEB", "wthsu45q7zewac2mnivoaa4ulh5xvbzdmsbuyztq2a5fzxdrnkka", ueb[:]},
		{"NewCrypttext", "itdj6e4njtkoiavlrmxkvpreosscssklunhwtvxn6ggho4rkqwga", hashes.NewCrypttext().Sum(nil)},
		{"CrypttextSegment", "aovy5aa7jej6ym5ikgwyoi4pxawnoj3wtaludjz7e2nb5xijb7aa", segment[:]},
		{"MutableReadKey", "vugid4as6qbqgeq2xczvvcedai", readKey[:]},
		{"MutableStorageIndex", "j7icz6kigb6hxrej3tv4z7ayym", slot[:]},
		{"NewConvergence", "3mo6ni7xweplycin6nowynw2we", key[:]},
	} {
		if got := b32.EncodeToString(tc.got); got != tc.want {
			t.Errorf("%s: got %s, want %s", tc.name, got, tc.want)
		}
	}
}

func TestRunningHash(t *testing.T) {
	d := hashes.NewCrypttext()
	empty := d.Sum(nil)
	d.Write([]byte("some"))
	d.Write([]byte("thing"))
	whole := d.Sum([]byte("x"))
	d.Reset()
	if !bytes.Equal(d.Sum(nil), empty) {
		t.Error("Reset: the tag is gone")
	}
	d.Write([]byte("something"))
	if !bytes.Equal(d.Sum([]byte("x")), whole) {
		t.Error("Write: the sum depends on how the bytes were cut")
	}
}

// Answers published with Tahoe-LAFS's specification of renewal secrets.
func TestLeaseSecrets(t *testing.T) {
	for _, tc := range []struct{ master, si, tub, want string }{
		{"boity2cdh7jvl3ltaeebuiobbspjmbuopnwbde2yeh4k6x7jioga", "vrttmwlicrzbt7gh5qsooogr7u", "v67jiisoty6ooyxlql5fuucitqiok2ic", "osd6wmc5vz4g3ukg64sitmzlfiaaordutrez7oxdp5kkze7zp5zq"},
		{"boity2cdh7jvl3ltaeebuiobbspjmbuopnwbde2yeh4k6x7jioga", "75gmmfts772ww4beiewc234o5e", "v67jiisoty6ooyxlql5fuucitqiok2ic", "35itmusj7qm2pfimh62snbyxp3imreofhx4djr7i2fweta75szda"},
		{"boity2cdh7jvl3ltaeebuiobbspjmbuopnwbde2yeh4k6x7jioga", "75gmmfts772ww4beiewc234o5e", "lh5fhobkjrmkqjmkxhy3yaonoociggpz", "srrlruge47ws3lm53vgdxprgqb6bz7cdblnuovdgtfkqrygrjm4q"},
		{"vacviff4xfqxsbp64tdr3frg3xnkcsuwt5jpyat2qxcm44bwu75a", "75gmmfts772ww4beiewc234o5e", "lh5fhobkjrmkqjmkxhy3yaonoociggpz", "b4jledjiqjqekbm2erekzqumqzblegxi23i5ojva7g7xmqqnl5pq"},
	} {
		master := [32]byte(unbase32(t, tc.master))
		renew, cancel := hashes.LeaseSecrets(&master, [16]byte(unbase32(t, tc.si)), [20]byte(unbase32(t, tc.tub)))
		if got := b32.EncodeToString(renew[:]); got != tc.want {
			t.Errorf("LeaseSecrets: renew is %s, want %s", got, tc.want)
		}
		if renew == cancel {
			t.Error("LeaseSecrets: renew and cancel are the same")
		}
	}
}

func TestPermute(t *testing.T) {
	// The published answer is for the index "SI", of 2 bytes, and a seed of 20:
	// the same bytes as an index of 16 and a seed of 6.
	in := append([]byte("SI"), unbase32(t, "u33m4y7klhz3bypswqkozwetvabelhxt")...)
	got := hashes.Permute([16]byte(in), in[16:])
	if want := "kb4354zeeurpo3ze5e275wzbynm6hlap"; b32.EncodeToString(got[:]) != want {
		t.Errorf("Permute: got %s, want %s", b32.EncodeToString(got[:]), want)
	}
}

func TestTubID(t *testing.T) {
	key := bytes.Repeat([]byte{7}, 32)
	got := hashes.TubID(key)
	if want := "4sts7b5xwtju7427qy454ukxum5hsamu"; b32.EncodeToString(got[:]) != want {
		t.Errorf("TubID: got %s, want %s", b32.EncodeToString(got[:]), want)
	}
}
