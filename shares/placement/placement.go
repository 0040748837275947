// Package placement decides which server gets which share. It is pure: no
// I/O, no clock, no randomness.
//
// Its measure is Tahoe-LAFS's "servers of happiness": the size of a maximum
// matching between shares and the servers that hold them. A happiness of h
// means that h servers hold h different shares, so any h-k of those servers
// may vanish and the file is still there.
package placement

import (
	"bytes"
	"cmp"
	"slices"

	"lafs/shares/hashes"
)

// Permute returns servers in the order in which the storage index si visits
// them: rising SHA-1 of si and the server's permutation seed (FORMATS.md
// section 3.6). Servers of one seed keep their order. The argument is left
// as it was.
func Permute[S any](si [16]byte, servers []S, seed func(S) []byte) []S {
	type ranked struct {
		place  [20]byte
		server S
	}
	all := make([]ranked, len(servers))
	for i, s := range servers {
		all[i] = ranked{hashes.Permute(si, seed(s)), s}
	}
	slices.SortStableFunc(all, func(a, b ranked) int { return bytes.Compare(a.place[:], b.place[:]) })
	out := make([]S, len(all))
	for i, r := range all {
		out[i] = r.server
	}
	return out
}

// Happiness returns the size of a maximum matching: the largest number of
// shares that sit on servers all different. held maps a share number to the
// servers that hold it; a server named twice counts once.
func Happiness[S comparable](held map[int][]S) int {
	index := make(map[S]int)
	shares := make([]int, 0, len(held))
	for n, servers := range held {
		shares = append(shares, n)
		for _, s := range servers {
			if _, ok := index[s]; !ok {
				index[s] = len(index)
			}
		}
	}
	m := newMatching(len(index))
	edges := func(n int, visit func(server int) bool) {
		for _, s := range held[n] {
			if !visit(index[s]) {
				return
			}
		}
	}
	slices.SortFunc(shares, cmp.Compare[int])
	for _, n := range shares {
		m.augment(n, edges)
	}
	return m.size
}
