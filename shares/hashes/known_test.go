package hashes

import (
	"encoding/base32"
	"testing"
)

// Answers published with Tahoe-LAFS for the two ways to tag.
func TestTagged(t *testing.T) {
	b32 := base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)
	one := newTag("tag").hash([]byte("hello world"))
	if got, want := b32.EncodeToString(one[:]), "yra322btzoqjp4ts2jon5dztgnilcdg6jgztgk7joi6qpjkitg2q"; got != want {
		t.Errorf("tagged: got %s, want %s", got, want)
	}
	two := newTag("tag").pair([]byte("hello"), []byte("world"))
	if got, want := b32.EncodeToString(two[:]), "wmto44q3shtezwggku2fxztfkwibvznkfu6clatnvfog527sb6dq"; got != want {
		t.Errorf("tagged pair: got %s, want %s", got, want)
	}
}
