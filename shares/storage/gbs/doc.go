// Package gbs carries the storage protocol over HTTP and CBOR, as Tahoe-LAFS
// speaks it ("Great Black Swamp", FORMATS.md section 9): a handler over any
// storage.Server, and a client that is one.
//
// Errors travel as a status and a fixed text (status.go).
//
// Beside it go requests of ours, each of which saves a round trip. A server
// that does not know one answers 404, and is asked as Tahoe-LAFS asks.
//
//	POST  /lafs/v1/store/<index>         space for shares, and small ones whole (whole.go, space.go)
//	PATCH /lafs/v1/begin/<index>/<n>     space for a share, and its first bytes (begin.go)
//	POST  /lafs/v1/read/<index>          the list of shares, with small ones and spans of others (whole.go)
//	GET   /lafs/v1/any/<index>           a range of the first share, whichever that is (any.go)
//	POST  /lafs/v1/slot/<index>          one atomic step of package agree on a slot (slotbody.go)
//
// All are safe to repeat. Only those who know its write enabler can change a
// slot; a server that is not a storage.Slots answers 404.
package gbs
