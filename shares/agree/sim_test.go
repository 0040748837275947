package agree_test

import (
	"encoding/binary"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"

	"lafs/shares/agree"
)

// rules are what the simulated servers and clients go by. The tests break
// one at a time.
type rules struct {
	apply    func(agree.State, agree.Message) (agree.State, bool)
	decide   func(agree.Quorums, []agree.State) agree.Decision
	quorums  func(agree.Quorums) agree.Quorums
	dropOpen bool // forget open versions on a classic decision
	amnesia  bool // servers forget their state now and then
}

func sound() rules {
	return rules{
		apply:   func(s agree.State, m agree.Message) (agree.State, bool) { return s.Apply(m) },
		decide:  agree.Decide,
		quorums: func(q agree.Quorums) agree.Quorums { return q },
	}
}

// A sim is one schedule: servers, clients, and messages that are late, lost
// or repeated at random. It checks the promises after every step.
type sim struct {
	rules
	rng      *rand.Rand
	q        agree.Quorums // the true ones: what the checks go by
	used     agree.Quorums // the clients' ones
	needed   int
	servers  []agree.State
	down     []bool
	flight   []envelope
	clients  []*client
	parent   map[agree.VersionID]agree.VersionID
	votes    map[agree.Ballot]map[agree.VersionID]map[int]bool
	chosen   []agree.VersionID // in the order in which they were chosen
	ops      []*op
	fault    string
	lossRate float64
}

// An envelope is a request on its way, or its answer.
type envelope struct {
	from    *client
	round   int
	server  int
	msg     agree.Message
	answer  bool
	state   agree.State
	done    bool
	ignored bool // nobody waits: a background message
}

type answer struct {
	server int
	state  agree.State
	done   bool
}

// An op is one modify of one client.
type op struct {
	versions []agree.VersionID
	after    []agree.VersionID // chosen versions that were acknowledged before it began
	outcome  string            // "done", "read", "not done", "unknown"
	reads    bool
	acked    agree.VersionID // its own version, or the one read
}

type client struct {
	sim      *sim
	id       int
	resume   func() (struct{}, bool)
	stop     func()
	waiting  bool
	round    int
	answers  []answer
	todo     int
	known    bool
	version  agree.VersionID
	ballot   agree.Ballot
	maxN     uint64
	maxSeq   uint64
	finished bool
}

func newSim(r rules, seed uint64, slots []int, needed, clients, opsEach int) *sim {
	q, err := agree.NewQuorums(slots, needed)
	if err != nil {
		panic(err)
	}
	s := &sim{rules: r, rng: rand.New(rand.NewPCG(seed, 1)), q: q, used: r.quorums(q), needed: needed,
		servers: make([]agree.State, len(slots)), down: make([]bool, len(slots)),
		parent: map[agree.VersionID]agree.VersionID{}, votes: map[agree.Ballot]map[agree.VersionID]map[int]bool{}}
	s.lossRate = []float64{0, 0.02, 0.1, 0.3}[s.rng.IntN(4)]
	for i := range clients {
		c := &client{sim: s, id: i, todo: opsEach}
		c.resume, c.stop = iter.Pull(func(yield func(struct{}) bool) { c.run(yield) })
		s.clients = append(s.clients, c)
	}
	return s
}

// run plays the schedule to its end and returns what was violated, if
// anything.
func (s *sim) run() string {
	defer func() {
		for _, c := range s.clients {
			c.stop()
		}
	}()
	for steps := 0; steps < 200_000 && s.fault == ""; steps++ {
		if !s.step() {
			break
		}
	}
	if s.fault == "" {
		s.checkEnd()
	}
	return s.fault
}

// step does one random thing; false when all clients have finished.
func (s *sim) step() bool {
	active := s.clients[:0:0]
	for _, c := range s.clients {
		if !c.finished {
			active = append(active, c)
		}
	}
	if len(active) == 0 {
		return false
	}
	if s.rng.IntN(200) == 0 {
		s.trouble()
	}
	c := active[s.rng.IntN(len(active))]
	switch {
	case !c.waiting:
		s.wake(c)
	case len(c.answers) == len(s.servers):
		s.wake(c)
	case len(s.flight) == 0 || s.rng.IntN(40) == 0:
		s.wake(c) // It has waited long enough.
	default:
		s.deliver(s.rng.IntN(len(s.flight)))
	}
	return true
}

func (s *sim) wake(c *client) {
	c.waiting = false
	if _, ok := c.resume(); !ok {
		c.finished = true
	}
}

// trouble takes a server down or up: never so many that nothing works.
func (s *sim) trouble() {
	i := s.rng.IntN(len(s.servers))
	if s.down[i] {
		s.down[i] = false
		return
	}
	n := 0
	for _, d := range s.down {
		if d {
			n++
		}
	}
	if n < len(s.servers)-s.q.Classic {
		s.down[i] = true
	}
	if s.amnesia {
		s.servers[i] = agree.State{}
	}
}

func (s *sim) deliver(i int) {
	e := s.flight[i]
	last := len(s.flight) - 1
	s.flight[i] = s.flight[last]
	s.flight = s.flight[:last]
	if s.rng.Float64() < s.lossRate {
		return
	}
	if e.answer {
		known := func(a answer) bool { return a.server == e.server }
		if !e.ignored && e.from.round == e.round && e.from.waiting && !slices.ContainsFunc(e.from.answers, known) {
			e.from.answers = append(e.from.answers, answer{e.server, e.state, e.done})
		}
		return
	}
	if s.down[e.server] {
		return
	}
	before := s.servers[e.server]
	e.state, e.done = s.apply(before, e.msg)
	s.servers[e.server] = e.state
	if before != e.state {
		s.changed(e.server)
	}
	e.answer = true
	s.flight = append(s.flight, e)
}

// changed notes votes and checks what must hold after every change.
func (s *sim) changed(i int) {
	st := s.servers[i]
	if !st.Current.IsZero() && !st.Committed {
		b, v := st.Accepted, st.Current
		if s.votes[b] == nil {
			s.votes[b] = map[agree.VersionID]map[int]bool{}
		}
		if s.votes[b][v] == nil {
			s.votes[b][v] = map[int]bool{}
		}
		s.votes[b][v][i] = true
		need := s.q.Classic
		if b.IsFast() {
			need = s.q.Fast
		}
		if len(s.votes[b][v]) >= need && !slices.Contains(s.chosen, v) {
			if n := len(s.chosen); n > 0 && !s.descends(v, s.chosen[n-1]) {
				s.fault = fmt.Sprintf("%d and %d were chosen, and neither is built on the other", s.chosen[n-1].Seq, v.Seq)
			}
			s.chosen = append(s.chosen, v)
		}
	}
	s.checkRecoverable()
}

// checkRecoverable: the newest chosen version can be rebuilt from every
// classic quorum of servers (all hold one slot here).
func (s *sim) checkRecoverable() {
	if len(s.chosen) == 0 {
		return
	}
	x, holders := s.chosen[len(s.chosen)-1], 0
	for _, st := range s.servers {
		if st.Current == x || !st.Committed && !st.Base.Itself && st.Base.Version == x {
			holders++
		}
	}
	if holders-(s.q.Servers-s.q.Classic) < s.needed {
		s.fault = fmt.Sprintf("version %d is chosen, and only %d servers hold it", x.Seq, holders)
	}
}

func (s *sim) descends(v, from agree.VersionID) bool {
	for ; v != from; v = s.parent[v] {
		if v.IsZero() {
			return false
		}
	}
	return true
}

func (s *sim) checkEnd() {
	var newest agree.VersionID
	if n := len(s.chosen); n > 0 {
		newest = s.chosen[n-1]
	}
	for i, o := range s.ops {
		there := 0
		for _, v := range o.versions {
			if s.descends(newest, v) {
				there++
			}
		}
		switch {
		case o.reads && !o.acked.IsZero() && !s.descends(newest, o.acked):
			s.fault = fmt.Sprintf("op %d read a version that was never chosen", i)
		case there > 1:
			s.fault = fmt.Sprintf("op %d is there %d times", i, there)
		case o.outcome == "done" && there == 0:
			s.fault = fmt.Sprintf("op %d was acknowledged and is lost", i)
		case o.outcome == "not done" && there != 0:
			s.fault = fmt.Sprintf("op %d was reported as not done and is there", i)
		}
		for _, earlier := range o.after {
			if (o.outcome == "done" || o.reads) && !s.descends(o.acked, earlier) {
				s.fault = fmt.Sprintf("op %d does not see one acknowledged before it began", i)
			}
		}
	}
}

func (s *sim) newVersion(parent agree.VersionID, seq uint64) agree.VersionID {
	v := agree.VersionID{Seq: seq}
	binary.BigEndian.PutUint64(v.Root[:], uint64(len(s.parent)+1))
	s.parent[v] = parent
	return v
}
