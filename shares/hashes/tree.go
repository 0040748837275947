package hashes

import (
	"math/bits"
	"strconv"
)

var (
	nodeTag  = newTag("Merkle tree internal node")
	emptyTag = newTag("Merkle tree empty leaf")
)

// Node hashes two children into their parent in a Merkle tree.
func Node(left, right Hash) Hash { return nodeTag.pair(left[:], right[:]) }

// EmptyLeaf is the hash that stands in the place of leaf number j where a
// tree has fewer leaves than a power of two.
func EmptyLeaf(j int) Hash {
	var room [20]byte
	return emptyTag.hash(strconv.AppendInt(room[:0], int64(j), 10))
}

// Width is the number of places in the lowest row of a tree: the lowest power
// of two that holds so many leaves, and 1 for none. leaves is at most 2^62.
func Width(leaves int) int {
	if leaves <= 1 {
		return 1
	}
	return 1 << bits.Len(uint(leaves-1))
}

// Nodes is the number of hashes in the flat array of a tree.
func Nodes(leaves int) int { return 2*Width(leaves) - 1 }

// LeafNode is the number of the node that holds leaf j in a tree with so many
// leaves.
func LeafNode(leaves, j int) int { return Width(leaves) - 1 + j }

// A Tree is a whole Merkle tree as a flat array: node 0 is the root, the
// children of node i are 2i+1 and 2i+2 (FORMATS.md section 1).
type Tree []Hash

// NewTree builds the tree over leaves.
func NewTree(leaves []Hash) Tree {
	width := Width(len(leaves))
	t := make(Tree, 2*width-1)
	row := t[width-1:]
	for j := copy(row, leaves); j < width; j++ {
		row[j] = EmptyLeaf(j)
	}
	for i := width - 2; i >= 0; i-- {
		t[i] = Node(t[2*i+1], t[2*i+2])
	}
	return t
}

// Root returns node 0.
func (t Tree) Root() Hash { return t[0] }

// Append writes the nodes, 32 bytes each, root first.
func (t Tree) Append(dst []byte) []byte {
	for i := range t {
		dst = append(dst, t[i][:]...)
	}
	return dst
}

// Path returns the numbers of the nodes that prove leaf j of a tree with so
// many leaves: the leaf's own, then the sibling of each node on the way up,
// the root excluded.
func Path(leaves, j int) []int {
	i := LeafNode(leaves, j)
	path := []int{i}
	for ; i > 0; i = (i - 1) / 2 {
		path = append(path, sibling(i))
	}
	return path
}

// sibling of node i > 0: odd numbers are left children.
func sibling(i int) int {
	if i%2 == 1 {
		return i + 1
	}
	return i - 1
}

// RootOfPath computes the root from the hashes that stand at the nodes of
// Path, in that order.
func RootOfPath(leaves, j int, path []Hash) Hash {
	i := LeafNode(leaves, j)
	h := path[0]
	for _, other := range path[1:] {
		if i%2 == 1 {
			h = Node(h, other)
		} else {
			h = Node(other, h)
		}
		i = (i - 1) / 2
	}
	return h
}

// RootOfRow computes the root over one whole row of a tree or of a part of
// it: a power of two of hashes side by side.
func RootOfRow(row []Hash) Hash {
	row = append([]Hash(nil), row...)
	for len(row) > 1 {
		for i := range len(row) / 2 {
			row[i] = Node(row[2*i], row[2*i+1])
		}
		row = row[:len(row)/2]
	}
	return row[0]
}
