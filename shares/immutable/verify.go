package immutable

import (
	"context"

	"lafs/shares/hashes"
)

// treeWindow is how many nodes of a hash tree CheckTrees holds at a time.
const treeWindow = 1 << 11

// CheckTrees reads both hash trees of the share whole and checks every node,
// also those that our own readers can do without. With all Blocks read
// through a decoder that has opened no other share, every hash of the share
// is checked then.
//
// ErrCorrupt: a node is wrong.
func (s *Share) CheckTrees(ctx context.Context) error {
	for _, tree := range []struct {
		name   string
		offset int64
		leaves *leaves
	}{
		{"block", s.layout.blocks, s.blocks},
		{"crypttext", s.layout.crypttext, s.file.crypttext},
	} {
		if err := s.checkTree(ctx, tree.name, tree.offset, tree.leaves.root()); err != nil {
			return err
		}
	}
	return nil
}

// root is the root that the proved top row has.
func (l *leaves) root() hashes.Hash {
	l.mu.Lock()
	defer l.mu.Unlock()
	return hashes.RootOfRow(l.top)
}

// checkTree checks the nodes of a tree from the root down: each level by the
// one above, some at a time.
func (s *Share) checkTree(ctx context.Context, name string, offset int64, root hashes.Hash) error {
	wrong := corrupt("its " + name + " hash tree is wrong")
	first, err := s.nodes(ctx, offset, 0, 1)
	if err != nil {
		return err
	}
	if first[0] != root {
		return wrong
	}
	inner := hashes.Nodes(s.file.segments) / 2
	for from := 0; from < inner; from += treeWindow {
		count := min(treeWindow, inner-from)
		parents, err := s.nodes(ctx, offset, from, count)
		if err != nil {
			return err
		}
		children, err := s.nodes(ctx, offset, 2*from+1, 2*count)
		if err != nil {
			return err
		}
		for i, p := range parents {
			if hashes.Node(children[2*i], children[2*i+1]) != p {
				return wrong
			}
		}
	}
	return nil
}

// nodes reads count nodes of the tree at offset, from number from on.
func (s *Share) nodes(ctx context.Context, offset int64, from, count int) ([]hashes.Hash, error) {
	src := &source{reader: s.source.reader, held: append([]held(nil), s.source.held...)}
	raw, err := src.whole(ctx, span{offset + int64(from)*hashSize, int64(count) * hashSize})
	if err != nil {
		return nil, err
	}
	return unpack(raw), nil
}
