// Package gbs carries the storage protocol over HTTP and CBOR, as Tahoe-LAFS
// speaks it ("Great Black Swamp", FORMATS.md section 9): a handler over any
// storage.Server, and a client that is one.
//
// Errors travel as a status and a fixed text (status.go). The slots of
// mutable files are not served: their paths are not found.
package gbs
