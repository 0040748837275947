// Package tail does on a server that speaks only Tahoe-LAFS's protocol what
// storage.Slots does on ours: it keeps the state of package agree behind the
// end of the shares, and carries out each step as one read-test-write of all
// of the server's shares of an object, whose tests fail if anything changed
// since it was looked at. Then the step is worked out anew, on what is there
// now.
//
// # What stands behind a share
//
// A share says itself where it ends, and readers look no further. A record
// (record.go has its bytes) begins 1024 bytes behind that end: whether votes
// and promises, whether the version is known to be chosen, its ancestors, the
// object's placement list, and, until the version is known to be chosen, the
// share that it replaced. Every share of the object on the server has it,
// with the same state. Its head, which the tests cover, has a random number
// that is new with each step, and hashes of all the rest.
//
// A promise that is asked for before there is any share stands alone, as a
// share that is none: it begins with "lafstail" where a share has its format,
// 0 or 1. The first share that is written takes its place.
//
// # What Tahoe-LAFS does with it
//
// Seen with Tahoe-LAFS 1.20, SDMF and MDMF, files and directories, five
// servers, 3 of 10: shares with 4 kB behind their end, record and all, are
// read, listed and verified as healthy. A write of the whole or of a part
// leaves what is behind it, since Tahoe-LAFS never cuts a share; an entry of
// a directory of 3-of-10 lets a share grow by 55 bytes, so a record mostly
// stays whole, and only its share is of another version. A promise that
// stands alone is passed over by readers, counts as no share in a check, and
// is replaced by a share with the next write or repair.
//
// # A share that a Tahoe-LAFS client wrote
//
// It is noticed, since its version is not the one that the record was written
// behind. Its record is looked for behind its end and counts as what the
// server promised and voted for; it brings what it has of the version before.
// The version that was current is lost with the share. If the record is lost
// too, the answer is Lost as well. Votes are refused until a Prepare was
// answered, so that whoever decides knows; an Accept ends it.
//
// # What is weaker than on our own servers
//
// A server of Tahoe-LAFS's answers before its disk has the data, and may lose
// or tear a step when the machine goes down; a step is in several files. What
// is torn is seen, what is rolled back is not. A server that was emptied and
// comes back under its old name is one that never voted. Clients that do not
// keep to the rules can undo anything. And every change sends, and until it
// is known to be chosen stores, about twice the bytes.
package tail
