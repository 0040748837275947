// Package update is the client's engine for mutable objects: it makes,
// reads and changes them on a grid of storage servers so that no
// acknowledged change is ever lost, whatever other writers, lost answers,
// stalled and dead servers do. The rules are those of package agree.
//
// Round trips on warm sessions: Create 1 (and the making of a key), Read 1
// for objects of up to about 100 kB and 2 for larger ones, Modify 1 if this
// engine knows the newest version and 2 if not. A lost race, a missing
// quorum or an unfinished write of somebody else's cost more.
//
// Which servers hold an object, and which of its shares each, is written
// down when it is made: a placement list, signed by the object's key, that
// comes with every answer and never changes. It decides how many servers
// make a quorum.
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
