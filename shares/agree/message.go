package agree

// A Message asks a server for one atomic step on one object. The answer is
// the server's whole State after it, and whether it was done. Repeating any
// message is harmless.
type Message interface {
	// apply returns the state after the message and whether it was done.
	apply(s State) (State, bool)
}

// Apply is what a server does with a message: the new state, to be durable
// before the answer, and whether the message was done. When it was not, the
// state is unchanged.
func (s State) Apply(m Message) (State, bool) { return m.apply(s) }

// Read changes nothing.
type Read struct{}

func (Read) apply(s State) (State, bool) { return s, true }

// Prepare asks for a promise to vote in no ballot below Ballot.
type Prepare struct{ Ballot Ballot }

func (m Prepare) apply(s State) (State, bool) {
	if m.Ballot.Less(s.Promised) {
		return s, false
	}
	s.Promised = m.Ballot
	return s, true
}

// Fast asks for a vote for New in the fast ballot that follows Ballot, in
// which Old was chosen. The server keeps its own shares of Old as base.
type Fast struct {
	Old    VersionID
	Ballot Ballot
	New    VersionID
}

func (m Fast) apply(s State) (State, bool) {
	next := m.Ballot.Next()
	if s.Current == m.New && s.Accepted == next {
		return s, true
	}
	if s.Current != m.Old || s.Accepted != m.Ballot || m.Ballot.Less(s.Promised) {
		return s, false
	}
	return State{Promised: next, Accepted: next, Current: m.New, Base: Base{Version: m.Old}}, true
}

// Accept asks for a vote for Version in a classic ballot. Where Base is not
// the version itself, the message brings the server's shares of the base.
type Accept struct {
	Ballot  Ballot
	Version VersionID
	Base    Base
}

func (m Accept) apply(s State) (State, bool) {
	if s.Current == m.Version && s.Accepted == m.Ballot {
		return s, true
	}
	if m.Ballot.Less(s.Promised) {
		return s, false
	}
	return State{Promised: m.Ballot, Accepted: m.Ballot, Current: m.Version, Base: m.Base}, true
}

// Learn tells that Version was chosen in Ballot. A server that voted for it
// drops its base; one that has not got so far installs it, from the shares
// that the message brings. It is always done.
type Learn struct {
	Version VersionID
	Ballot  Ballot
}

func (m Learn) apply(s State) (State, bool) {
	if m.Ballot.Less(s.Accepted) {
		return s, true
	}
	promised := s.Promised
	if promised.Less(m.Ballot) {
		promised = m.Ballot
	}
	return State{Promised: promised, Accepted: m.Ballot, Current: m.Version, Committed: true}, true
}

// Installed says which version a message that was done leaves as current, if
// it does; after is the state behind it.
func Installed(m Message, after State) (VersionID, bool) {
	var v VersionID
	var b Ballot
	switch m := m.(type) {
	case Fast:
		v, b = m.New, m.Ballot.Next()
	case Accept:
		v, b = m.Version, m.Ballot
	case Learn:
		v, b = m.Version, m.Ballot
	default:
		return v, false
	}
	return v, after.Current == v && after.Accepted == b
}

// Valid reports whether the rules have a meaning for a message.
func Valid(m Message) bool {
	switch m := m.(type) {
	case Read, Prepare:
		return true
	case Fast:
		return !m.New.IsZero()
	case Accept:
		return !m.Version.IsZero() && (!m.Base.Itself || m.Base.Version.IsZero())
	case Learn:
		return !m.Version.IsZero()
	}
	return false
}
