package mutable

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"fmt"

	"lafs/shares/caps"
	"lafs/shares/hashes"
)

// A ShareReader reads from one share. It returns fewer bytes than asked for,
// without an error, only at the share's end.
type ShareReader interface {
	ReadShare(ctx context.Context, offset int64, p []byte) (int, error)
}

// Bytes is a ShareReader over a share that is at hand.
type Bytes []byte

// ReadShare copies from b.
func (b Bytes) ReadShare(_ context.Context, offset int64, p []byte) (int, error) {
	if offset >= int64(len(b)) {
		return 0, nil
	}
	return copy(p, b[offset:]), nil
}

// firstRead is how much of a share is read before its layout is known: an
// SDMF share of a small object whole, and all that precedes an MDMF share's
// blocks.
const firstRead = 4 << 10

// maxTree bounds the block hash tree that a reader holds: 64 MiB are the
// trees of an object of 128 GiB.
const maxTree = 64 << 20

// A Share is one share whose header, signature and hash trees are verified:
// its version is the slot's owner's. Blocks are verified as they are read.
// Safe for concurrent use if its reader is.
type Share struct {
	*Header
	number int
	reader ShareReader
	secret []byte // the encrypted private key
	leaves []hashes.Hash
}

// OpenShare reads and verifies all of share number n but its blocks. One
// request is enough for a small SDMF share, two for others. Errors match
// ErrCorrupt where the share is wrong; the reader's own pass through.
func OpenShare(ctx context.Context, fingerprint hashes.Hash, n int, r ShareReader) (*Share, error) {
	first := make([]byte, firstRead)
	got, err := r.ReadShare(ctx, 0, first)
	if err != nil {
		return nil, err
	}
	first = first[:got]
	h, err := ParseHeader(first)
	if err != nil {
		return nil, err
	}
	s := &Share{Header: h, number: n, reader: r}
	if n < 0 || n >= h.Total {
		return nil, fmt.Errorf("%w: it is number %d of %d", ErrCorrupt, n, h.Total)
	}
	part := func(from, to int64) ([]byte, error) {
		if to <= int64(len(first)) {
			return first[from:to], nil
		}
		return s.read(ctx, from, to)
	}
	public, err := part(h.at.publicKey, h.at.publicKeyEnd)
	if err != nil {
		return nil, err
	}
	signature, err := part(h.at.signature, h.at.signature+keyBits/8)
	if err != nil {
		return nil, err
	}
	if err := verify(fingerprint, public, signature, h.signed()); err != nil {
		return nil, err
	}
	return s, s.openTrees(part)
}

// verify checks that the version is signed by the key of the cap.
func verify(fingerprint hashes.Hash, public, signature, signed []byte) error {
	if hashes.MutableFingerprint(public) != fingerprint {
		return fmt.Errorf("%w: its public key is not the cap's", ErrCorrupt)
	}
	parsed, err := x509.ParsePKIXPublicKey(public)
	key, ok := parsed.(*rsa.PublicKey)
	if err != nil || !ok || key.N.BitLen() != keyBits {
		return fmt.Errorf("%w: its public key is no RSA key of %d bits", ErrCorrupt, keyBits)
	}
	digest := sha256.Sum256(signed)
	if rsa.VerifyPSS(key, crypto.SHA256, digest[:], signature, &rsa.PSSOptions{SaltLength: sha256.Size}) != nil {
		return fmt.Errorf("%w: its signature is wrong", ErrCorrupt)
	}
	return nil
}

// openTrees reads the block hash tree and proves it up to the signed root.
func (s *Share) openTrees(part func(from, to int64) ([]byte, error)) error {
	h := s.Header
	treeSize := hashSize * int64(hashes.Nodes(h.Segments()))
	if treeSize > maxTree {
		return fmt.Errorf("%w: its block hash tree of %d bytes is larger than lafs reads", ErrCorrupt, treeSize)
	}
	raw, err := part(h.at.tree, h.at.tree+treeSize)
	if err != nil {
		return err
	}
	nodes := make(hashes.Tree, len(raw)/hashSize)
	for i := range nodes {
		nodes[i] = hashes.Hash(raw[i*hashSize:])
	}
	s.leaves = nodes[hashes.LeafNode(h.Segments(), 0):][:h.Segments()]
	if tree := hashes.NewTree(s.leaves); string(tree.Append(nil)) != string(raw) {
		return fmt.Errorf("%w: its block hash tree does not add up", ErrCorrupt)
	}
	path := hashes.Path(h.Total, s.number)
	chain, err := part(h.at.chain, h.at.chain+int64(chainItem*(len(path)-1)))
	if err != nil {
		return err
	}
	known := map[int]hashes.Hash{}
	for ; len(chain) > 0; chain = chain[chainItem:] {
		known[int(binary.BigEndian.Uint16(chain))] = hashes.Hash(chain[2:chainItem])
	}
	proof := []hashes.Hash{nodes[0]}
	for _, node := range path[1:] {
		hash, ok := known[node]
		if !ok {
			return fmt.Errorf("%w: its share hash chain lacks node %d", ErrCorrupt, node)
		}
		proof = append(proof, hash)
	}
	if hashes.RootOfPath(h.Total, s.number, proof) != h.Root {
		return fmt.Errorf("%w: its share hash chain does not lead to the signed root", ErrCorrupt)
	}
	secretEnd := h.at.chain
	if h.Format == SDMF {
		secretEnd = h.at.end
	}
	s.secret, err = part(h.at.privateKey, secretEnd)
	return err
}

// read returns the bytes [from, to) of the share.
func (s *Share) read(ctx context.Context, from, to int64) ([]byte, error) {
	b := make([]byte, to-from)
	n, err := s.reader.ReadShare(ctx, from, b)
	if err != nil {
		return nil, err
	}
	if n < len(b) {
		return nil, fmt.Errorf("%w: it ends at byte %d", ErrCorrupt, from+int64(n))
	}
	return b, nil
}

// Number is the share's number.
func (s *Share) Number() int { return s.number }

// Key decrypts the slot's private key, which every share carries, for those
// who hold the write cap.
func (s *Share) Key(w *caps.MutableWriter) (*Key, error) { return decryptKey(w, s.secret) }

// A Block is one verified block.
type Block struct {
	// Salt is the segment's.
	Salt [saltSize]byte
	Data []byte
}

// Blocks reads count blocks from segment first on in one request and
// verifies them. The caller bounds count: a block is up to 128 KiB in MDMF,
// and the whole share's data in SDMF.
func (s *Share) Blocks(ctx context.Context, first, count int) ([]Block, error) {
	if first < 0 || count < 1 || first > s.Segments()-count {
		return nil, fmt.Errorf("blocks %d to %d of %d", first, first+count-1, s.Segments())
	}
	last := first + count - 1
	from := s.at.data + int64(first)*s.stride()
	to := s.at.data + int64(last)*s.stride() + s.saltLength() + s.blockLength(last)
	raw, err := s.read(ctx, from, to)
	if err != nil {
		return nil, err
	}
	blocks := make([]Block, count)
	for i := range blocks {
		whole := raw[:s.saltLength()+s.blockLength(first+i)]
		raw = raw[len(whole):]
		if hashes.Block(whole) != s.leaves[first+i] {
			return nil, fmt.Errorf("%w: block %d has another hash", ErrCorrupt, first+i)
		}
		blocks[i].Salt = s.Salt
		copy(blocks[i].Salt[:], whole[:s.saltLength()])
		blocks[i].Data = whole[s.saltLength():]
	}
	return blocks, nil
}
