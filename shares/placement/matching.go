package placement

// A matching pairs shares with servers, each at most once.
type matching struct {
	shareOf  []int       // by server; free where it is none
	serverOf map[int]int // by share
	size     int
}

const none = -1

// edges visits the servers that a share may be paired with, best first,
// until visit returns false.
type edges func(share int, visit func(server int) bool)

func newMatching(servers int) *matching {
	m := &matching{shareOf: make([]int, servers), serverOf: make(map[int]int)}
	for i := range m.shareOf {
		m.shareOf[i] = none
	}
	return m
}

// augment finds a server for an unpaired share, moving others where that
// helps, along a shortest augmenting path: as few pairs as possible change,
// and whatever was paired stays paired. It reports whether it could. If it
// could not, it never will with the same edges.
func (m *matching) augment(share int, next edges) bool {
	if _, ok := m.serverOf[share]; ok {
		return false
	}
	reachedBy := make(map[int]int) // server -> the share from which it was reached
	queue := []int{share}
	end := none
	for len(queue) > 0 && end == none {
		from := queue[0]
		queue = queue[1:]
		next(from, func(server int) bool {
			if _, seen := reachedBy[server]; seen {
				return true
			}
			reachedBy[server] = from
			if m.shareOf[server] == none {
				end = server
				return false
			}
			queue = append(queue, m.shareOf[server])
			return true
		})
	}
	if end == none {
		return false
	}
	for server := end; server != none; {
		n := reachedBy[server]
		before, paired := m.serverOf[n]
		m.serverOf[n], m.shareOf[server] = server, n
		if !paired {
			break
		}
		server = before
	}
	m.size++
	return true
}
