// Package locks holds the tests that keep lafs silent on the clear net and
// its rooms in order: who may import whom, which room may touch a socket, a
// resolver or another program, and what may be linked into the command. It
// has no code of its own.
package locks
