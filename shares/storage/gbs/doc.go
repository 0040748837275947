// Package gbs carries the storage protocol over HTTP and CBOR, as Tahoe-LAFS
// speaks it ("Great Black Swamp", FORMATS.md section 9): a handler over any
// storage.Server, and a client that is one.
//
// Errors travel as a status and a fixed text (status.go).
//
// Beside it goes a request of ours, POST /lafs/v1/slot/<storage index>: one
// atomic step of package agree on a slot, in CBOR both ways (slotbody.go).
// It is safe to repeat. Only those who know the write enabler can change
// anything; a server that is not a storage.Slots answers 404.
package gbs
