package hashes

import "fmt"

// A Convergence is the running hash that makes a file's read key from its
// plaintext, so that the same file has the same key for all who share the
// convergence secret (FORMATS.md section 3.2). It is an io.Writer over the
// plaintext; for one goroutine at a time.
type Convergence struct{ running *double }

// NewConvergence begins a key for a file coded k of n in segments of segSize
// bytes: the size already shrunk to the file and rounded up to k.
func NewConvergence(secret []byte, k, n int, segSize int64) *Convergence {
	name := []byte("allmydata_immutable_content_to_key_with_added_secret_v1+")
	name = appendNetstring(name, secret)
	name = appendNetstring(name, fmt.Appendf(nil, "%d,%d,%d", k, n, segSize))
	return &Convergence{newDouble(appendNetstring(nil, name))}
}

// Write takes the next bytes of the plaintext. It never fails.
func (c *Convergence) Write(plaintext []byte) (int, error) { return c.running.Write(plaintext) }

// Key returns the read key of what was written so far. Secret.
func (c *Convergence) Key() [16]byte { return first16(c.running.sum()) }
