// Package update is the client's engine for mutable objects: it makes,
// reads and changes them on a grid of storage servers so that no
// acknowledged change is ever lost, whatever other writers, lost answers,
// stalled and dead servers do. The rules are those of package agree.
//
// Round trips on warm sessions: Create 1 (and the making of a key), Read 1
// for objects of up to about 100 kB and 2 for larger ones, and one more for
// every 4 MiB that their shares have beyond the first, Modify 1 if this
// engine knows the newest version and 2 if not. A lost race, a missing
// quorum or an unfinished write of somebody else's cost more.
//
// Which servers hold an object, and which of its shares each, is written
// down when it is made: a placement list, signed by the object's key, that
// comes with every answer. It decides how many servers make a quorum.
//
// Repair replaces the list when servers of it are lost for good, by the rules
// of agree.List. It takes promises of all that are there (1 trip), asks which
// other servers answer (1 trip, saved where some were known to be silent
// before), seals the list with its successor (1), and installs that (1);
// where nothing is lost, promises and votes are all (2). Servers that do not
// answer are asked again for half a minute before they are taken for lost.
// It needs a classic quorum of the list that is to be replaced: of fewer,
// nobody can know that no newer version was acknowledged by the others, and
// this package has no way to settle for what is left.
//
// An engine uses for writing only lists that it knows to be installed. One
// that knows an older list sees the newer one in the answers of any
// Quorums.Read of its servers, since those that sealed it answer with the
// list that they voted for, and servers that were taken off and were there
// are told. That costs no trip as long as the servers it asks are enough of
// the newer list, and one for each list after that. Whoever writes to an
// object that was left half moved completes that first, which is one trip
// more, or three. Servers that were taken off keep their shares until the
// lease on them ends.
//
// What is trusted: contents, versions and placement lists are signed, so no
// server can forge them, and what a server says about a version is not
// counted unless it shows a signed share of it. But a server is believed
// about its votes, promises and the ancestors of a version. One that lies
// about those, or has been rolled back, can make an older version look like
// the newest, or a change look as if it were done: package agree tolerates
// servers that fail, not servers that conspire. This engine refuses to go
// back behind a version that it has itself seen chosen.
package update
