package immutable

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"

	"lafs/shares/caps"
)

// keystream returns AES-128-CTR with a zero initial counter, at offset bytes
// into the file. Encrypting and decrypting are the same.
func keystream(key *caps.ReadKey, offset int64) cipher.Stream {
	block, err := aes.NewCipher(key.Bytes())
	if err != nil {
		panic("immutable: a read key has 16 bytes: " + err.Error())
	}
	var counter [aes.BlockSize]byte
	binary.BigEndian.PutUint64(counter[8:], uint64(offset/aes.BlockSize))
	stream := cipher.NewCTR(block, counter[:])
	// A segment is a multiple of k, not of the cipher's block.
	var skip [aes.BlockSize]byte
	stream.XORKeyStream(skip[:offset%aes.BlockSize], skip[:offset%aes.BlockSize])
	return stream
}
