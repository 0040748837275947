// Package dirnode has directories: their encoding, byte for byte Tahoe-LAFS's
// (FORMATS.md section 5), edits of it that can be run again on a newer base,
// and trees of them, over an interface that reads and changes objects by cap.
//
// A directory is the content of one file. Who holds its write cap gets write
// caps of its children, who holds its read cap gets read caps only, and what
// is in an immutable directory can never change.
//
// Entries that nobody here understands, with caps of the future or damaged
// ones, are left out of what is shown, or shown as unknown, and every edit
// keeps them as they are, byte for byte.
//
// Errors never hold names, paths or caps.
package dirnode
