package mutable

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"lafs/shares/erasure"
	"lafs/shares/hashes"
)

// Params say how a version is made.
type Params struct {
	Format        Format
	Needed, Total int
	// Salts gives the salts; nil is crypto/rand, and everything else is for
	// tests: a salt that is used twice gives away what it protects.
	Salts io.Reader
}

// A Version is one version of an object, as the shares that carry it.
type Version struct {
	Header *Header
	// Shares has Total of them, by number, each whole.
	Shares [][]byte
}

// ErrParams is an object that its format cannot hold.
var ErrParams = errors.New("a mutable object cannot be made like that")

// maxEncode bounds what Encode takes: it holds the object and all its shares
// in memory.
const maxEncode = 1 << 30

// Encode makes version seq of the object that key owns.
func Encode(key *Key, p Params, seq uint64, data []byte) (*Version, error) {
	if p.Needed < 1 || p.Needed > p.Total || p.Total > MaxTotal || p.Format > MDMF {
		return nil, fmt.Errorf("%w: %v, %d of %d shares; N is at most %d", ErrParams, p.Format, p.Needed, p.Total, MaxTotal)
	}
	if len(data) > maxEncode {
		return nil, fmt.Errorf("%w: %d bytes are more than the %d that fit in memory", ErrParams, len(data), maxEncode)
	}
	if p.Salts == nil {
		p.Salts = rand.Reader
	}
	codec, err := erasure.New(p.Needed, p.Total)
	if err != nil {
		return nil, err
	}
	h := &Header{Format: p.Format, Seq: seq, Needed: p.Needed, Total: p.Total, DataSize: int64(len(data))}
	h.SegmentSize = roundUp(mdmfSegment, int64(p.Needed))
	if p.Format == SDMF {
		h.SegmentSize = roundUp(h.DataSize, int64(p.Needed))
	}
	e := &encoder{key: key, h: h, codec: codec, salts: p.Salts, data: data}
	return e.encode()
}

// An encoder makes one version.
type encoder struct {
	key   *Key
	h     *Header
	codec *erasure.Codec
	salts io.Reader
	data  []byte

	bodies [][]byte        // by share: salts and blocks
	leaves [][]hashes.Hash // by share: block hashes
	trees  []hashes.Tree   // by share
}

func (e *encoder) encode() (*Version, error) {
	e.bodies, e.leaves = make([][]byte, e.h.Total), make([][]hashes.Hash, e.h.Total)
	for i := range e.bodies {
		e.bodies[i] = make([]byte, 0, e.h.dataLength())
	}
	if e.h.Format == SDMF {
		if _, err := io.ReadFull(e.salts, e.h.Salt[:]); err != nil {
			return nil, fmt.Errorf("make a salt: %w", err)
		}
	}
	for s := range e.h.Segments() {
		if err := e.segment(s); err != nil {
			return nil, err
		}
	}
	roots := make([]hashes.Hash, e.h.Total)
	for i, leaves := range e.leaves {
		e.trees = append(e.trees, hashes.NewTree(leaves))
		roots[i] = e.trees[i].Root()
	}
	shareTree := hashes.NewTree(roots)
	e.h.Root = shareTree.Root()
	digest := sha256.Sum256(e.h.signed())
	signature, err := rsa.SignPSS(rand.Reader, e.key.private, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: sha256.Size})
	if err != nil {
		return nil, fmt.Errorf("sign the version: %w", err)
	}
	v := &Version{Header: e.h, Shares: make([][]byte, e.h.Total)}
	secret := e.key.encrypted()
	for i := range v.Shares {
		chain := appendChain(nil, shareTree, e.h.Total, i)
		v.Shares[i] = e.share(i, signature, chain, secret)
	}
	return v, nil
}

// segment encrypts and codes segment s, and adds a block to every share.
func (e *encoder) segment(s int) error {
	salt := e.h.Salt
	if e.h.Format == MDMF {
		if _, err := io.ReadFull(e.salts, salt[:]); err != nil {
			return fmt.Errorf("make a salt: %w", err)
		}
	}
	from, n := int64(s)*e.h.SegmentSize, e.h.segmentLength(s)
	block := e.h.blockLength(s)
	// Padded after encryption: the padding is zero in the ciphertext.
	text := make([]byte, block*int64(e.h.Needed))
	key := hashes.MutableDataKey(salt[:], e.key.writeKey().ReadKey().Bytes())
	crypt(key[:], text[:n], e.data[from:from+n])
	blocks := make([][]byte, e.h.Total)
	for i := range blocks {
		if i < e.h.Needed {
			blocks[i] = text[int64(i)*block : int64(i+1)*block]
		} else {
			blocks[i] = make([]byte, block)
		}
	}
	if err := e.codec.Encode(blocks); err != nil {
		return err
	}
	for i, b := range blocks {
		start := len(e.bodies[i])
		if e.h.Format == MDMF {
			e.bodies[i] = append(e.bodies[i], salt[:]...)
		}
		e.bodies[i] = append(e.bodies[i], b...)
		e.leaves[i] = append(e.leaves[i], hashes.Block(e.bodies[i][start:]))
	}
	return nil
}

// appendChain writes the hashes that prove share i: sorted by node, the
// share's own left out.
func appendChain(b []byte, tree hashes.Tree, total, i int) []byte {
	path := hashes.Path(total, i)[1:]
	slices.Sort(path)
	for _, node := range path {
		b = binary.BigEndian.AppendUint16(b, uint16(node))
		b = append(b, tree[node][:]...)
	}
	return b
}

// share lays out share i and settles the header's offsets, which are the
// same for all.
func (e *encoder) share(i int, signature, chain, secret []byte) []byte {
	tree := e.trees[i].Append(nil)
	public, body := e.key.public, e.bodies[i]
	a := &e.h.at
	next := int64(sdmfHeader)
	place := func(at *int64, part []byte) {
		*at = next
		next += int64(len(part))
	}
	if e.h.Format == SDMF {
		place(&a.publicKey, public)
		a.publicKeyEnd = next
		place(&a.signature, signature)
		place(&a.chain, chain)
		place(&a.tree, tree)
		place(&a.data, body)
		place(&a.privateKey, secret)
		a.end = next
		return slices.Concat(e.h.append(nil), public, signature, chain, tree, body, secret)
	}
	next = mdmfHeader
	place(&a.privateKey, secret)
	place(&a.chain, chain)
	place(&a.signature, signature)
	place(&a.publicKey, public)
	a.publicKeyEnd = next
	gap := make([]byte, mdmfData-next)
	next = mdmfData
	place(&a.data, body)
	place(&a.tree, tree)
	a.end = next
	return slices.Concat(e.h.append(nil), secret, chain, signature, public, gap, body, tree)
}
