package hashes_test

import (
	"testing"

	"pgregory.net/rapid"

	"lafs/shares/hashes"
)

func leaves(n int) []hashes.Hash {
	out := make([]hashes.Hash, n)
	for i := range out {
		out[i] = hashes.Block([]byte{byte(i), byte(i >> 8)})
	}
	return out
}

func TestTreeShape(t *testing.T) {
	for _, tc := range []struct{ leaves, width int }{{0, 1}, {1, 1}, {2, 2}, {3, 4}, {4, 4}, {5, 8}, {256, 256}, {257, 512}} {
		if got := hashes.Width(tc.leaves); got != tc.width {
			t.Errorf("Width(%d): got %d, want %d", tc.leaves, got, tc.width)
		}
		tree := hashes.NewTree(leaves(tc.leaves))
		if len(tree) != 2*tc.width-1 || hashes.Nodes(tc.leaves) != len(tree) {
			t.Errorf("NewTree(%d): %d nodes, want %d", tc.leaves, len(tree), 2*tc.width-1)
		}
		if raw := tree.Append(nil); len(raw) != 32*len(tree) || [32]byte(raw[:32]) != tree.Root() {
			t.Errorf("Append: %d bytes for %d nodes, or the root is not first", len(raw), len(tree))
		}
	}
	if hashes.NewTree(nil).Root() != hashes.EmptyLeaf(0) {
		t.Error("NewTree of no leaves: the root is not empty leaf 0")
	}
}

func TestTreeByHand(t *testing.T) {
	l := leaves(3)
	left, right := hashes.Node(l[0], l[1]), hashes.Node(l[2], hashes.EmptyLeaf(3))
	if got, want := hashes.NewTree(l).Root(), hashes.Node(left, right); got != want {
		t.Errorf("Root: got %x, want %x", got, want)
	}
}

func TestPathProves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 70).Draw(t, "leaves")
		j := rapid.IntRange(0, n-1).Draw(t, "leaf")
		tree := hashes.NewTree(leaves(n))
		var proof []hashes.Hash
		for _, i := range hashes.Path(n, j) {
			proof = append(proof, tree[i])
		}
		if hashes.RootOfPath(n, j, proof) != tree.Root() {
			t.Fatalf("RootOfPath: leaf %d of %d is not proved", j, n)
		}
		if hashes.RootOfRow(tree[len(tree)/2:]) != tree.Root() {
			t.Fatalf("RootOfRow: %d leaves do not give the root", n)
		}
		spoil := rapid.IntRange(0, len(proof)-1).Draw(t, "spoil")
		proof[spoil][rapid.IntRange(0, 31).Draw(t, "byte")] ^= 1
		if hashes.RootOfPath(n, j, proof) == tree.Root() {
			t.Fatalf("RootOfPath: a wrong hash at step %d is accepted", spoil)
		}
	})
}
