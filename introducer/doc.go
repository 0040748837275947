// Package introducer holds what storage servers, introducers and clients say
// to each other about who is there: the Announcement that a server signs,
// and the FURL by which an introducer is reached. Package introducer/server
// is the introducer, package introducer/client subscribes and announces.
//
// An introducer is trusted with little. It learns which onion addresses
// store, and may leave some out or show old ones; it cannot make one up, move
// one to another place, or give one server another's tub id.
package introducer
