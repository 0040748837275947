package immutable

import (
	"context"
	"encoding/binary"
	"fmt"

	"lafs/shares/hashes"
)

// A Share is one opened share of a file: its blocks can be read and proved.
// It is safe for concurrent use. There is nothing to close.
type Share struct {
	file   *file
	layout layout
	source *source // what it holds does not change
	blocks *leaves
}

// prove checks the share's hashes up to the UEB.
func (s *Share) prove(ctx context.Context, n int) error {
	if err := s.layout.check(s.file.geometry); err != nil {
		return err
	}
	crypttext := s.file.crypttext.topSpan(s.layout.crypttext)
	blocks := s.blocks.topSpan(s.layout.blocks)
	chain := span{s.layout.chain, s.file.chainSize()}
	wanted := []span{blocks, chain}
	known := s.file.crypttext.proved()
	if !known {
		wanted = append(wanted, crypttext)
	}
	if err := s.source.fetch(ctx, wanted...); err != nil {
		return err
	}
	raw, err := s.source.whole(ctx, chain)
	if err != nil {
		return err
	}
	root, err := s.file.proveRoot(n, raw)
	if err != nil {
		return err
	}
	if raw, err = s.source.whole(ctx, blocks); err != nil {
		return err
	}
	if !s.blocks.proveTop(raw, root) {
		return corrupt("its block hash tree is wrong")
	}
	if known {
		return nil
	}
	if raw, err = s.source.whole(ctx, crypttext); err != nil {
		return err
	}
	if !s.file.crypttext.proveTop(raw, s.file.ueb.crypttextRoot) {
		return corrupt("its crypttext hash tree is wrong")
	}
	return nil
}

// proveRoot returns the root of share n's block hash tree, from the share
// hash chain that proves it. The chain's order is anybody's.
func (f *file) proveRoot(n int, chain []byte) (hashes.Hash, error) {
	found := make(map[int]hashes.Hash)
	for ; len(chain) > 0; chain = chain[chainEntry:] {
		found[int(binary.BigEndian.Uint16(chain))] = hashes.Hash(chain[2:])
	}
	path := hashes.Path(f.total, n)
	proof := make([]hashes.Hash, len(path))
	for i, node := range path {
		h, ok := found[node]
		if !ok {
			return hashes.Hash{}, corrupt("its share hash chain lacks a hash")
		}
		proof[i] = h
	}
	if hashes.RootOfPath(f.total, n, proof) != f.ueb.shareRoot {
		return hashes.Hash{}, corrupt("its share hash chain is wrong")
	}
	return proof[0], nil
}

// Blocks reads the blocks of count segments from segment first on and proves
// them. It asks for all bytes at once. The caller bounds count: memory for
// that many blocks is taken. The blocks must not be changed.
//
// ErrCorrupt: a block, or a hash that should prove it, is wrong.
func (s *Share) Blocks(ctx context.Context, first, count int) ([][]byte, error) {
	f := s.file
	if first < 0 || count < 1 || count > f.segments-first {
		return nil, fmt.Errorf("read blocks: no segments %d to %d among %d", first, first+count-1, f.segments)
	}
	data := f.blocksAt(s.layout, first, count)
	src := &source{reader: s.source.reader, held: append([]held(nil), s.source.held...)}
	proofs := []*proof{
		{leaves: s.blocks, tree: s.layout.blocks, name: "block"},
		{leaves: f.crypttext, tree: s.layout.crypttext, name: "crypttext"},
	}
	wanted := []span{data}
	for _, p := range proofs {
		p.from, p.at, p.missing = p.leaves.missing(p.tree, first, count)
		if p.missing {
			wanted = append(wanted, p.at)
		}
	}
	if err := src.fetch(ctx, wanted...); err != nil {
		return nil, err
	}
	for _, p := range proofs {
		if err := p.prove(ctx, src); err != nil {
			return nil, err
		}
	}
	raw, err := src.whole(ctx, data)
	if err != nil {
		return nil, err
	}
	return s.cut(raw, first, count)
}

// A proof is the leaves of one tree that a call of Blocks needs.
type proof struct {
	leaves  *leaves
	tree    int64
	name    string
	from    int
	at      span
	missing bool
}

func (p *proof) prove(ctx context.Context, src *source) error {
	if !p.missing {
		return nil
	}
	raw, err := src.whole(ctx, p.at)
	if err != nil {
		return err
	}
	if !p.leaves.provePages(p.from, raw) {
		return corrupt("its " + p.name + " hash tree is wrong")
	}
	return nil
}

// cut returns the blocks that lie side by side in raw, each checked.
func (s *Share) cut(raw []byte, first, count int) ([][]byte, error) {
	out := make([][]byte, count)
	for i := range out {
		size := s.file.blockSizeOf(first + i)
		out[i], raw = raw[:size:size], raw[size:]
		want, ok := s.blocks.of(first + i)
		if !ok || hashes.Block(out[i]) != want {
			return nil, corrupt(fmt.Sprintf("its block %d is wrong", first+i))
		}
	}
	return out, nil
}
