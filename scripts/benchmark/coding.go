package main

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"lafs/shares/immutable"
)

// Coding is measured at 3-of-10, on so many bytes of a file.
const (
	codedNeeded, codedTotal = 3, 10
	codedBytes              = 64 << 20
	codingAtMost            = 1 / 0.8
)

// coding measures what a file costs the processor, without any network, and
// computes what it must cost at the least: the time in which all processors
// hash and encrypt the bytes that the format wants hashed and encrypted.
//
// Encoding and decoding shall make at least 0.8 of that.
func (b *bench) coding(context.Context) error {
	b.say("encoding and decoding without a network")
	data := content(codedBytes)
	sha, ctr, err := speeds(b.runs)
	if err != nil {
		return err
	}
	// An upload sends the blocks away as they come, and keeps none.
	put, err := repeat(b.runs, func() error {
		_, err := encode(data, func(int, []byte) {})
		return err
	})
	if err != nil {
		return err
	}
	shares := make([][]byte, codedTotal)
	read, err := encode(data, func(n int, part []byte) { shares[n] = append(shares[n], part...) })
	if err != nil {
		return err
	}
	get, err := repeat(b.runs, func() error { return decode(read, shares) })
	if err != nil {
		return err
	}
	cores := float64(runtime.GOMAXPROCS(0))
	// The key needs a pass over the file before anything else. Then, of each
	// byte: encryption, the hash of all ciphertext, which can not be split,
	// that of its segment, and those of N/k bytes of blocks.
	one := float64(codedBytes)
	rest := one/ctr + (2+float64(codedTotal)/codedNeeded)*one/sha
	least := one/sha + max(rest/cores, one/sha)
	if err := b.report.add(row{operation: "encode 64 MiB at 3-of-10", times: put, bytes: codedBytes,
		limit: sample{time.Duration(least * 1e9)}, what: fmt.Sprintf("its hashing and encrypting on %.0f processors", cores), atMost: codingAtMost, alone: true}); err != nil {
		return err
	}
	// Of each byte: its block's hash, its segment's, and decryption.
	least = (2*one/sha + one/ctr) / cores
	return b.report.add(row{operation: "decode 64 MiB at 3-of-10", times: get, bytes: codedBytes,
		limit: sample{time.Duration(least * 1e9)}, what: fmt.Sprintf("its hashing and decrypting on %.0f processors", cores), atMost: codingAtMost, alone: true})
}

// speeds measures SHA-256 and AES-128-CTR on one processor, in bytes a second,
// while the others do the same: that is how they are used.
func speeds(runs int) (sha, ctr float64, err error) {
	const size = 32 << 20
	block, err := aes.NewCipher(make([]byte, 16))
	if err != nil {
		return 0, 0, err
	}
	buffers := make([][]byte, runtime.GOMAXPROCS(0))
	for i := range buffers {
		buffers[i] = content(size)
	}
	all := func(f func([]byte)) (float64, error) {
		times, err := repeat(runs, func() error {
			var group errgroup.Group
			for _, b := range buffers {
				group.Go(func() error { f(b); return nil })
			}
			return group.Wait()
		})
		return size / times.median().Seconds(), err
	}
	if sha, err = all(func(b []byte) { sha256.Sum256(b) }); err != nil {
		return 0, 0, err
	}
	ctr, err = all(func(b []byte) { cipher.NewCTR(block, make([]byte, aes.BlockSize)).XORKeyStream(b, b) })
	return sha, ctr, err
}

// encode makes the key and the shares of a file, and hands out their parts in
// order.
func encode(data []byte, part func(n int, bytes []byte)) (*immutable.Decoder, error) {
	p := immutable.Params{Needed: codedNeeded, Total: codedTotal}
	keyer, err := immutable.NewKeyer(p, int64(len(data)), immutable.NewConvergenceSecret([]byte("of the benchmark")))
	if err != nil {
		return nil, err
	}
	if _, err := keyer.Write(data); err != nil {
		return nil, err
	}
	key, err := keyer.Key()
	if err != nil {
		return nil, err
	}
	e, err := immutable.NewEncoder(p, int64(len(data)), key)
	if err != nil {
		return nil, err
	}
	for n := range codedTotal {
		part(n, e.Header())
	}
	for len(data) > 0 {
		size := min(e.SegmentSize(), int64(len(data)))
		blocks, err := e.Encode(data[:size])
		if err != nil {
			return nil, err
		}
		for n, block := range blocks {
			part(n, block)
		}
		data = data[size:]
	}
	tails, cap, err := e.Finish()
	if err != nil {
		return nil, err
	}
	for n, tail := range tails {
		part(n, tail)
	}
	return immutable.NewDecoder(cap)
}

// memory is a share at hand.
type memory []byte

// ReadShare implements immutable.ShareReader.
func (m memory) ReadShare(_ context.Context, offset int64, p []byte) (int, error) {
	if offset >= int64(len(m)) {
		return 0, nil
	}
	return copy(p, m[offset:]), nil
}

// decode rebuilds a file from the last shares, all of them of the code.
func decode(d *immutable.Decoder, shares [][]byte) error {
	ctx := context.Background()
	opened := map[int]*immutable.Share{}
	for n := codedTotal - codedNeeded; n < codedTotal; n++ {
		s, err := d.OpenShare(ctx, n, memory(shares[n]))
		if err != nil {
			return err
		}
		opened[n] = s
	}
	// As a download does, several segments at once.
	var segments errgroup.Group
	segments.SetLimit(runtime.GOMAXPROCS(0))
	for seg := range d.NumSegments() {
		segments.Go(func() error {
			blocks := map[int][]byte{}
			for n, s := range opened {
				got, err := s.Blocks(ctx, seg, 1)
				if err != nil {
					return err
				}
				blocks[n] = got[0]
			}
			_, err := d.DecodeSegment(seg, blocks)
			return err
		})
	}
	return segments.Wait()
}
