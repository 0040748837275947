// Package store keeps shares on disk: it is the storage.Server of a node.
//
// Share files are the truth. Each describes itself (see header), is written
// under incoming/ and takes its place at shares/<2 characters>/<storage
// index>/<number> when it is whole and synced; from then on it never
// changes. index.db (bbolt) holds what is small: the leases, and the length
// of each share, for totals without a walk. It can be rebuilt: when it is
// missing or broken, Open makes it again from the files, with fresh leases.
//
// Unfinished uploads live until 30 minutes after their last write, and do
// not survive a restart: nothing of them was promised. They are never
// visible as shares.
//
// What a seizer finds is little: the times of files are rounded down to a
// day and those of leases up, and lease secrets are kept as BLAKE2b-256
// hashes. The file system's own change times are not in our hands.
package store
