// Package store keeps shares on disk: it is the storage.Server of a node.
//
// Share files are the truth. Each describes itself (see [ondisk.Header]), is written
// under incoming/ and takes its place at shares/<2 characters>/<storage
// index>/<number> when it is whole and synced; from then on it never
// changes. index.db (bbolt) holds what is small: the leases, and the length
// of each share, for totals without a walk. It can be rebuilt: when it is
// missing or broken, Open makes it again from the files, with fresh leases.
// Otherwise Open scans nothing: what a crash can leave to be decided stands
// in the index beforehand (see bucketIntents), and what slots hold is counted
// again while they are served.
//
// Tiny shares are written in their place at once, and their bytes stand in
// the index until one sync of the disk has done for many of them, a minute
// at most (see lodge.go). Only if the power and the index are lost together
// within that minute are they lost too.
//
// A container of Tahoe-LAFS's (see [ondisk.Container]) may stand in a share file's
// place: a hard link that TakeOver made. It is read as it is, and never
// written to; whose share it holds, its name alone says.
//
// Unfinished uploads live until 30 minutes after their last write, and go on
// after a restart: beside the bytes of one stands a note of which ranges are
// there (see note). What is missing is always told: of a process that was
// killed nothing is lost, of a machine that lost power up to 16 MiB of each
// upload, and small uploads as a whole. They are never visible as shares.
//
// A slot is a directory slots/<2 characters>/<storage index>/ with a file
// named record (see [ondisk.Record]) and the shares, named
// <number>.<step>, which never change either. The record is the truth of the
// slot: what the server promised and voted for, and which files hold the
// current shares, those of the base, and those that a Tahoe-LAFS client
// wrote past the protocol. A step writes and syncs new share files, then
// their names, and then replaces the record; a crash leaves the old step or
// the new one, for all shares together. Files that no record names are
// removed.
//
// A server must never vote again where it forgot a vote. A slot whose record
// is gone or damaged answers storage.ErrStateLost, as do all slots of a
// directory that is not the one that the server last used, or is an older
// copy of it, which Config.Witness tells (see mark). Shares are still
// served. The way out is a new identity: votes are kept with the tub id of
// who gave them, and those of another one are not this server's. Not noticed
// are: a directory and a witness brought back together, and, after a crash,
// a copy that is less than an hour old.
//
// What is held lasts until the last lease on its storage index ends, whoever
// has that; then, if Config.Expire says so, it is collected: page by page
// over the index, at a pace, from where a restart left off (see collect.go).
// Nobody who gets a lease meanwhile loses what it is for. Of a collected slot
// the record stays, since the server must not forget its votes; what it holds
// then can be written again like to a server that missed a version.
//
// Everything is charged to an authority, whose number stands in the files
// (see authority.go).
//
// A store that is read-only takes no new slots; those that it has can still
// change.
//
// What a seizer finds is little: the times of files are rounded down to a
// day and those of leases up, and lease secrets and write enablers are kept
// as BLAKE2b-256 hashes. The file system's own change times are not in our
// hands.
package store
