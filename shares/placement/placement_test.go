package placement_test

import (
	"crypto/sha1"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"lafs/shares/placement"
)

func TestPermute(t *testing.T) {
	si := [16]byte{1, 2, 3}
	var names []string
	for i := range 20 {
		names = append(names, fmt.Sprintf("server %d", i))
	}
	seed := func(s string) []byte { return []byte(s) }
	got := placement.Permute(si, names, seed)
	want := slices.Clone(names)
	slices.SortFunc(want, func(a, b string) int {
		x, y := sha1.Sum(append(si[:], a...)), sha1.Sum(append(si[:], b...))
		return slices.Compare(x[:], y[:])
	})
	if !slices.Equal(got, want) {
		t.Errorf("Permute: got %v, want %v", got, want)
	}
	if slices.Equal(got, names) {
		t.Error("Permute changed nothing")
	}
	slices.Reverse(names)
	if again := placement.Permute(si, names, seed); !slices.Equal(again, got) {
		t.Error("Permute depends on the order given")
	}
	if other := placement.Permute([16]byte{9}, names, seed); slices.Equal(other, got) {
		t.Error("Permute does not depend on the storage index")
	}
}

// The examples of Tahoe-LAFS's specification of servers of happiness.
func TestHappiness(t *testing.T) {
	for _, tt := range []struct {
		name string
		held map[int][]string
		want int
	}{
		{"nothing", nil, 0},
		{"one server, ten shares", map[int][]string{0: {"a"}, 1: {"a"}, 2: {"a"}}, 1},
		{"one share, three servers", map[int][]string{0: {"a", "b", "c"}}, 1},
		{"one each", map[int][]string{0: {"a"}, 1: {"b"}, 2: {"c"}}, 3},
		{"crossed", map[int][]string{0: {"a", "b"}, 1: {"a"}, 2: {"b", "c"}}, 3},
		{"pigeonhole", map[int][]string{0: {"a"}, 1: {"a"}, 2: {"a", "b"}}, 2},
		{"named twice", map[int][]string{0: {"a", "a"}, 1: {"a"}}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := placement.Happiness(tt.held); got != tt.want {
				t.Errorf("Happiness: got %d, want %d", got, tt.want)
			}
		})
	}
}

func TestPlanOfEmptyServers(t *testing.T) {
	for _, servers := range []int{1, 3, 5, 10, 20} {
		lay := placement.Plan(10, 1, open(servers))
		if want := min(servers, 10); lay.Happiness != want {
			t.Errorf("%d servers: happiness %d, want %d", servers, lay.Happiness, want)
		}
		for i, send := range lay.Send {
			for _, n := range send {
				if n%servers != i {
					t.Errorf("%d servers: share %d goes to server %d", servers, n, i)
				}
			}
		}
	}
}

func TestPlan(t *testing.T) {
	for _, tt := range []struct {
		name         string
		total, happy int
		servers      []placement.Server
		send         [][]int
		unplaced     []int
		happiness    int
	}{
		{"all there", 3, 3, []placement.Server{{Has: []int{0}, Open: true}, {Has: []int{1}, Open: true}, {Has: []int{2}}},
			[][]int{nil, nil, nil}, nil, 3},
		{"crowded but happy", 4, 2, []placement.Server{{Has: []int{0, 1}}, {Has: []int{2, 3}}, {Open: true}},
			[][]int{nil, nil, nil}, nil, 2},
		{"crowded and unhappy", 4, 3, []placement.Server{{Has: []int{0, 1}}, {Has: []int{2, 3}}, {Open: true}},
			[][]int{nil, nil, {1}}, nil, 3},
		{"found at a spare", 3, 3, []placement.Server{{Ready: []int{0}, Open: true}, {Ready: []int{1}, Open: true}, {Ready: []int{2}, Open: true}, {Has: []int{1}}},
			[][]int{{0}, nil, {2}, nil}, nil, 3},
		{"one refuses", 4, 4, []placement.Server{{Ready: []int{0}, Open: true}, {}, {Ready: []int{2}, Open: true}, {Ready: []int{3}, Open: true}},
			[][]int{{0, 1}, nil, {2}, {3}}, nil, 3},
		{"a full one keeps its offer", 3, 3, []placement.Server{{Ready: []int{1}}, {Open: true}, {Open: true}},
			[][]int{{1}, {0}, {2}}, nil, 3},
		{"nobody", 2, 1, []placement.Server{{}, {}}, [][]int{nil, nil}, []int{0, 1}, 0},
		{"what one may not take", 3, 3, []placement.Server{{Open: true, Not: []int{0, 1}}, {Has: []int{1}, Open: true}, {Open: true}},
			[][]int{{2}, nil, {0}}, nil, 3},
		{"what nobody may take", 2, 2, []placement.Server{{Open: true, Not: []int{0}}, {Open: true, Not: []int{0}}},
			[][]int{{1}, nil}, []int{0}, 1},
		{"foreign numbers", 2, 1, []placement.Server{{Has: []int{-1, 7}, Ready: []int{9}, Open: true}}, [][]int{{0, 1}}, nil, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			lay := placement.Plan(tt.total, tt.happy, tt.servers)
			if !slices.EqualFunc(lay.Send, tt.send, slices.Equal) || !slices.Equal(lay.Unplaced, tt.unplaced) || lay.Happiness != tt.happiness {
				t.Errorf("Plan: got %+v, want send %v, unplaced %v, happiness %d", lay, tt.send, tt.unplaced, tt.happiness)
			}
		})
	}
}

func open(n int) []placement.Server {
	out := make([]placement.Server, n)
	for i := range out {
		out[i].Open = true
	}
	return out
}

// bruteForce returns the largest matching by trying everything.
func bruteForce(shares int, may func(n, server int) bool, servers int) int {
	var try func(n int, used uint) int
	try = func(n int, used uint) int {
		if n == shares {
			return 0
		}
		best := try(n+1, used)
		for s := range servers {
			if used&(1<<s) == 0 && may(n, s) {
				best = max(best, 1+try(n+1, used|1<<s))
			}
		}
		return best
	}
	return try(0, 0)
}

func drawServers(t *rapid.T, total int) []placement.Server {
	number := rapid.SliceOfNDistinct(rapid.IntRange(0, total-1), 0, total, rapid.ID)
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) placement.Server {
		s := placement.Server{Open: rapid.Bool().Draw(t, "open")}
		if rapid.Bool().Draw(t, "holds") {
			s.Has = number.Draw(t, "has")
		}
		if rapid.Bool().Draw(t, "offers") {
			s.Ready = number.Draw(t, "ready")
		}
		return s
	}), 1, 5).Draw(t, "servers")
}

func TestPlanAgainstBruteForce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		total := rapid.IntRange(1, 6).Draw(t, "total")
		happy := rapid.IntRange(1, total).Draw(t, "happy")
		servers := drawServers(t, total)
		lay := placement.Plan(total, happy, servers)

		has := func(n, s int) bool { return slices.Contains(servers[s].Has, n) }
		may := func(n, s int) bool { return has(n, s) || slices.Contains(servers[s].Ready, n) || servers[s].Open }
		best := bruteForce(total, may, len(servers))
		kept := bruteForce(total, has, len(servers))
		held := func(n int) bool {
			return slices.ContainsFunc(servers, func(s placement.Server) bool { return slices.Contains(s.Has, n) })
		}
		if lay.Happiness > best || lay.Happiness < min(best, happy) || lay.Happiness < kept {
			t.Fatalf("happiness %d; the best is %d, happy %d, found %d", lay.Happiness, best, happy, kept)
		}

		after := make(map[int][]int)
		sent := 0
		for s := range servers {
			for _, n := range servers[s].Has {
				after[n] = append(after[n], s)
			}
			for _, n := range lay.Send[s] {
				if has(n, s) || !may(n, s) {
					t.Fatalf("share %d is sent to server %d, which has it or does not take it", n, s)
				}
				after[n] = append(after[n], s)
				sent++
			}
		}
		if got := placement.Happiness(after); got != lay.Happiness {
			t.Fatalf("the plan says happiness %d, but it is %d", lay.Happiness, got)
		}
		homeless := 0
		for n := range total {
			if !held(n) {
				homeless++
			}
			takes := slices.ContainsFunc(servers, func(s placement.Server) bool {
				return s.Open || slices.Contains(s.Ready, n) || slices.Contains(s.Has, n)
			})
			if missing := len(after[n]) == 0; missing != slices.Contains(lay.Unplaced, n) || missing && takes {
				t.Fatalf("share %d: nowhere %v, unplaced %v, taken by somebody %v", n, missing, lay.Unplaced, takes)
			}
		}
		if kept >= happy && sent > homeless {
			t.Fatalf("%d shares are sent, %d are missing, and happiness needs no copies", sent, homeless)
		}
		// A server that takes only what it offered can force a chain of moves.
		picky := slices.ContainsFunc(servers, func(s placement.Server) bool { return !s.Open && len(s.Ready) > 0 })
		if extra := lay.Happiness - kept; !picky && sent > homeless && sent-homeless > extra {
			t.Fatalf("%d copies are sent for %d more happiness", sent-homeless, extra)
		}
	})
}

func TestHappinessAgainstBruteForce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		total := rapid.IntRange(1, 6).Draw(t, "total")
		servers := drawServers(t, total)
		held := make(map[int][]int)
		for s := range servers {
			for _, n := range servers[s].Has {
				held[n] = append(held[n], s)
			}
		}
		want := bruteForce(total, func(n, s int) bool { return slices.Contains(servers[s].Has, n) }, len(servers))
		if got := placement.Happiness(held); got != want {
			t.Fatalf("Happiness: got %d, want %d", got, want)
		}
	})
}
