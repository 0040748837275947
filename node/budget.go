package node

import (
	"golang.org/x/sys/unix"

	"lafs/onion/mux"
)

// ownFiles is how many files the node may need open for itself: without
// them, many circuits would leave it no share to open.
const ownFiles = 512

// newBudget returns the bounds on what peers make the node hold, whichever
// door they come by.
func newBudget() *mux.Budget {
	return mux.NewBudget(mux.BudgetConfig{Sessions: sessionsFor(openFiles())})
}

// sessionsFor returns how many circuits a process may hold that may have so
// many files open: 0 for as many as there are by default.
func sessionsFor(files uint64) int {
	switch {
	case files >= 8*ownFiles:
		return 0
	case files < 2*ownFiles:
		return int(max(files/2, 1))
	}
	return int(files - ownFiles)
}

// openFiles is how many files this process may have open.
func openFiles() uint64 {
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &l) != nil {
		return 1024
	}
	return l.Cur
}

// A LoadStatus is what peers make the node hold at present, and what of it
// was refused since the start. It says nothing of who they are.
type LoadStatus struct {
	// Sessions are circuits that stand, of MaxSessions that may; Known have
	// shown a right to ask, Busy have a request.
	Sessions    int `json:"sessions"`
	MaxSessions int `json:"max_sessions"`
	Known       int `json:"known"`
	Busy        int `json:"busy"`
	// Streams are requests, and what may become one; Bytes are those in
	// memory of requests and answers.
	Streams int   `json:"streams"`
	Bytes   int64 `json:"bytes"`
	// Dropped sessions made room for others, Cut ones had too much in memory
	// here, Refused ones found no room. Busied are requests for which there
	// was no room.
	Dropped int64 `json:"sessions_dropped"`
	Cut     int64 `json:"sessions_cut"`
	Refused int64 `json:"sessions_refused"`
	Busied  int64 `json:"requests_refused"`
}

func (n *Node) loadStatus() *LoadStatus {
	l := n.budget.Load()
	return &LoadStatus{Sessions: l.Sessions, MaxSessions: l.MaxSessions, Known: l.Known, Busy: l.Busy, Streams: l.Streams, Bytes: l.Bytes,
		Dropped: l.Dropped, Cut: l.Cut, Refused: l.Refused, Busied: l.StreamsRefused + l.ClaimsRefused}
}
