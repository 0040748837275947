package agree_test

import (
	"encoding/binary"
	"fmt"
	"iter"
	"math/bits"
	"math/rand/v2"
	"slices"

	"lafs/shares/agree"
)

// rules are what the simulated servers and clients go by. The tests break
// one at a time.
type rules struct {
	apply    func(agree.State, agree.Message) (agree.State, bool)
	find     func(*agree.List, []agree.Witness) agree.Finding
	recorded func(m agree.Message, before, after agree.State, have, sent []byte) ([]byte, bool)
	quorums  func(agree.Quorums) agree.Quorums
	dropOpen bool // forget open versions on a classic decision
	amnesia  bool // servers forget their state now and then
	restart  bool // servers forget what they promised now and then
	client   clientRules
	// Broken changes of the list.
	hasty   bool // install before the seal is chosen
	careful bool // take a new ballot for every install
}

func sound() rules {
	return rules{
		apply:    func(s agree.State, m agree.Message) (agree.State, bool) { return s.Apply(m) },
		find:     agree.Find,
		recorded: agree.Recorded,
		quorums:  func(q agree.Quorums) agree.Quorums { return q },
	}
}

// clientRules are what a client does wrong.
type clientRules struct {
	eager    bool // acknowledge with one vote too few
	hasty    bool // ask for votes with one promise too few
	hopeful  bool // drop open versions where another is chosen, but not for sure in their ballot
	denies   bool // say "not done" while a version is open
	twins    bool // make no ballot unlike all others
	stubborn bool // vote anew for the base instead of a version that may be chosen
}

// A sim is one schedule: servers, clients, and messages that are late, lost
// or repeated at random. It checks the promises after every step.
//
// The first servers are those of the first list, the others are there to
// take the place of one.
type sim struct {
	rules
	rng      *rand.Rand
	needed   int
	servers  []agree.State
	recs     []string // the names of the lists that servers have recorded
	down     []bool
	flight   []envelope
	clients  []*client
	active   []*client // of the last step
	parent   map[agree.VersionID]agree.VersionID
	votes    map[vote]uint16   // the servers that voted so, a bit each
	chosen   []agree.VersionID // in the order in which they were chosen
	highest  agree.Ballot      // in which the last was
	ops      []*op
	fault    string
	lossRate float64

	lists     map[string]*agree.List // as clients use them
	true      map[string]agree.Quorums
	force     []string // the list of each generation, chosen
	installed int      // the newest generation that is
	moving    bool
}

// A vote is one server's.
type vote struct {
	ballot  agree.Ballot
	version agree.VersionID
	list    string
}

// An envelope is a request on its way, or its answer.
type envelope struct {
	from    *client
	round   int
	server  int
	msg     agree.Message
	list    string
	rec     string
	answer  bool
	state   agree.State
	done    bool
	ignored bool // nobody waits: a background message
}

type answer struct {
	server int
	state  agree.State
	done   bool
	rec    string
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
	list     string // the newest that it knows to be installed; empty for none
	asked    []int
	known    bool
	version  agree.VersionID
	ballot   agree.Ballot
	maxN     uint64
	maxSeq   uint64
	busy     bool
	finished bool
}

func newSim(r rules, seed uint64, servers, needed, clients, opsEach, spare int) *sim {
	n := servers + spare
	s := &sim{rules: r, rng: rand.New(rand.NewPCG(seed, 1)), needed: needed, moving: spare > 0,
		servers: make([]agree.State, n), recs: make([]string, n), down: make([]bool, n),
		parent: map[agree.VersionID]agree.VersionID{}, votes: map[vote]uint16{},
		lists: map[string]*agree.List{}, true: map[string]agree.Quorums{}}
	s.lossRate = []float64{0, 0.02, 0.1, 0.3}[s.rng.IntN(4)]
	var voters []int
	for i := range servers {
		voters = append(voters, i)
	}
	first := s.newList(voters, "")
	s.force = []string{first}
	for i := range clients {
		c := &client{sim: s, id: i, todo: opsEach, list: first}
		c.resume, c.stop = iter.Pull(func(yield func(struct{}) bool) { c.run(yield) })
		s.clients = append(s.clients, c)
	}
	return s
}

// newList makes a list of servers, one slot each, after another.
func (s *sim) newList(voters []int, before string) string {
	q, err := agree.NewQuorums(ones(len(voters)), s.needed)
	if err != nil {
		panic(err)
	}
	l := &agree.List{Quorums: s.quorums(q)}
	for _, i := range voters {
		l.Voters = append(l.Voters, serverName(i))
	}
	if before != "" {
		b := *s.lists[before]
		b.Before = nil
		l.Generation, l.Before = b.Generation+1, &b
	}
	name := fmt.Sprint("list ", len(s.lists))
	s.lists[name], s.true[name] = l, q
	return name
}

// names are those of servers; there are never more.
var names = func() (out [16]string) {
	for i := range out {
		out[i] = fmt.Sprint("server ", i)
	}
	return out
}()

func serverName(i int) string { return names[i] }

// nameOf finds a list again that was found in a successor.
func (s *sim) nameOf(l *agree.List) string {
	for name, known := range s.lists {
		if known == l {
			return name
		}
	}
	for name, known := range s.lists {
		if known.Generation == l.Generation && slices.Equal(known.Voters, l.Voters) {
			return name
		}
	}
	return ""
}

func (s *sim) has(list string, i int) bool { return s.lists[list].Has(serverName(i)) }

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
	active := s.active[:0]
	for _, c := range s.clients {
		if !c.finished {
			active = append(active, c)
		}
	}
	s.active = active
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
	case len(c.answers) == len(c.asked):
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
	s.down[i] = true
	for _, list := range s.force[s.installed:] {
		n := 0
		for j, d := range s.down {
			if d && s.has(list, j) {
				n++
			}
		}
		if n > len(s.lists[list].Voters)-s.true[list].Classic {
			s.down[i] = false
		}
	}
	if s.restart {
		s.servers[i].Promised = s.servers[i].Accepted
	}
	if s.amnesia {
		s.servers[i], s.recs[i] = agree.State{}, ""
	}
	if s.moving {
		s.forget()
	}
}

// forget lets a server that is on no list that matters drop what it has, a
// long time after it was taken off: nothing is on its way to it.
func (s *sim) forget() {
	i := s.rng.IntN(len(s.servers))
	for _, list := range s.force[s.installed:] {
		if s.has(list, i) {
			return
		}
	}
	for _, c := range s.clients {
		if !c.finished && (c.list != s.force[s.installed] || c.busy) {
			return
		}
	}
	s.flight = slices.DeleteFunc(s.flight, func(e envelope) bool { return e.server == i })
	s.servers[i], s.recs[i] = agree.State{}, ""
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
			e.from.answers = append(e.from.answers, answer{e.server, e.state, e.done, e.rec})
		}
		return
	}
	if s.down[e.server] {
		return
	}
	before := s.servers[e.server]
	e.state, e.done = s.apply(before, e.msg)
	if rec, ok := s.recorded(e.msg, before, e.state, []byte(s.recs[e.server]), []byte(e.list)); e.done && ok {
		s.recs[e.server] = string(rec)
	} else {
		e.state, e.done = before, false
	}
	e.rec = s.recs[e.server]
	s.servers[e.server] = e.state
	if before != e.state {
		s.changed(e.server)
	}
	e.answer = true
	s.flight = append(s.flight, e)
}

// changed notes votes and checks what must hold after every change.
func (s *sim) changed(i int) {
	st, g := s.servers[i], int(s.servers[i].Accepted.Generation())
	if !st.Current.IsZero() && !st.Committed {
		if g >= len(s.force) {
			s.fault = fmt.Sprintf("a vote of generation %d, and no list of it was chosen", g)
			return
		}
		s.count(vote{st.Accepted, st.Current, s.recs[i]}, i, s.force[g])
	}
	s.checkRecoverable()
	if s.moving && s.fault == "" {
		s.glance()
	}
}

// glance is a reader to whom some of the servers answer in one instant: it
// must see the newest chosen version, or nothing.
func (s *sim) glance() {
	var list []agree.Witness
	odds := 2 + s.rng.IntN(3)
	for i, st := range s.servers {
		if s.rng.IntN(odds) > 0 {
			list = append(list, agree.Witness{Server: serverName(i), State: st, List: s.lists[s.recs[i]]})
		}
	}
	known := s.lists[[]string{"", s.force[0], s.force[s.installed]}[s.rng.IntN(3)]]
	f := s.find(known, list)
	if f.Verdict != agree.Chosen && f.Verdict != agree.Previous || f.Behind {
		return
	}
	var newest agree.VersionID
	if n := len(s.chosen); n > 0 {
		newest = s.chosen[n-1]
	}
	if f.Version != newest {
		s.fault = fmt.Sprintf("a reader sees version %d where %d is chosen", f.Version.Seq, newest.Seq)
	}
}

// count counts a vote among the servers of a list.
func (s *sim) count(v vote, i int, list string) {
	if !s.has(list, i) {
		return
	}
	who := s.votes[v]
	if who>>i&1 == 1 {
		return
	}
	who |= 1 << i
	s.votes[v] = who
	q := s.true[list]
	need := q.Classic
	if v.ballot.IsFast() {
		need = q.Fast
	}
	if g := int(v.ballot.Generation()); g > s.installed {
		voted := 0
		for j, st := range s.servers {
			if s.has(list, j) && int(st.Accepted.Generation()) == g {
				voted++
			}
		}
		if voted >= q.Classic {
			s.installed = g
		}
	}
	if bits.OnesCount16(who) != need {
		return
	}
	switch n := len(s.chosen); {
	case n > 0 && !s.descends(v.version, s.chosen[n-1]) && (!slices.Contains(s.chosen, v.version) || s.highest.Less(v.ballot)):
		s.fault = fmt.Sprintf("%d and %d were chosen, and neither is built on the other", s.chosen[n-1].Seq, v.version.Seq)
	case !slices.Contains(s.chosen, v.version):
		s.chosen = append(s.chosen, v.version)
		if int(v.ballot.Generation()) < len(s.force)-1 {
			s.fault = "a version was chosen by a list that was replaced"
		}
	}
	if s.highest.Less(v.ballot) {
		s.highest = v.ballot
	}
	g := v.ballot.Generation()
	if v.list == "" || s.lists[v.list].Generation == g {
		return
	}
	if len(s.force) == int(g)+1 {
		s.force = append(s.force, v.list)
	} else if s.force[g+1] != v.list {
		s.fault = "a list has two successors"
	}
}

// checkRecoverable: the newest chosen version can be rebuilt from every
// classic quorum of servers of the list (all hold one slot here).
func (s *sim) checkRecoverable() {
	if len(s.chosen) == 0 {
		return
	}
	list := s.force[s.installed]
	x, holders := s.chosen[len(s.chosen)-1], 0
	for i, st := range s.servers {
		if s.has(list, i) && (st.Current == x || !st.Committed && !st.Base.Itself && st.Base.Version == x) {
			holders++
		}
	}
	if holders-(len(s.lists[list].Voters)-s.true[list].Classic) < s.needed {
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
