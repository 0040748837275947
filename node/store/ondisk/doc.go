// Package ondisk has the bytes of the files that a store keeps: the header of
// share files, the containers of Tahoe-LAFS that may stand in their place,
// and the record of a slot. It reads and prints them, and knows nothing of
// where they lie, of when they are written, or of the index. Its values are
// plain: whoever shares one says by which lock.
package ondisk
