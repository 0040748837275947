package ondisk

import (
	"encoding/binary"
	"errors"
	"io"

	"golang.org/x/crypto/blake2b"

	"lafs/shares/storage"
)

// Sizes in Tahoe-LAFS's containers, in bytes (FORMATS.md section 7).
const (
	bucketStart    = 12     // what precedes the data in a bucket
	bucketLease    = 72     // of one lease
	slotStart      = 468    // what precedes the data in a slot
	slotLease      = 92     // of one lease
	slotFirstLease = 100    // where the first four leases of a slot are
	slotLeases     = 4      // how many those are
	slotMagic      = 32     // of a slot's magic
	maxRead        = 10_000 // leases that are read of one container
)

// magicV1 and magicV2 begin the containers of slots.
const (
	magicV1 = "Tahoe mutable container v1\n\x75\x09\x44\x03\x8e"
	magicV2 = "Tahoe mutable container v2\n\xc3\x55\x21\x99\x25"
)

// ErrContainer is a file that is no container of Tahoe-LAFS's, or a damaged
// one.
var ErrContainer = errors.New("not a share container of Tahoe-LAFS's")

// A Container is a share file of Tahoe-LAFS's, of either kind and either
// version. It holds nothing secret: its own secrets are hashed as it is read.
type Container struct {
	Kind storage.Kind
	// At is where the share's data begins, Length how long it is, in bytes.
	At, Length int64
	// NodeID is, of a slot, the tub id of the server that took its write
	// enabler, which is bound to that.
	NodeID [20]byte
	// Leases are all that it has, ended or not, MoreLeases whether there
	// were more than are read.
	Leases     []ContainerLease
	MoreLeases bool

	Enabler [32]byte // BLAKE2b-256 of a slot's write enabler
}

// A ContainerLease is one lease in a container.
type ContainerLease struct {
	// Ends is its end in seconds since 1970.
	Ends uint32

	Lease Lease
}

// ReadContainer reads a container of size bytes, with its leases, but not
// the share. Errors match ErrContainer, or are the reader's.
func ReadContainer(r io.ReaderAt, size int64) (*Container, error) {
	start := make([]byte, slotStart)
	n, err := r.ReadAt(start, 0)
	if err != nil && err != io.EOF {
		return nil, err
	}
	p := containerParser{r: r, size: size}
	c, err := p.parse(start[:n])
	if err != nil {
		return nil, err
	}
	return c, p.leases(c, start[:n])
}

// parseContainer reads what a container says of its share, from its first
// slotStart bytes, and nothing of its leases.
func parseContainer(start []byte, size int64) (*Container, error) {
	p := containerParser{size: size}
	return p.parse(start)
}

// A containerParser takes a container apart.
type containerParser struct {
	r    io.ReaderAt
	size int64
	// hashed says that its lease secrets are (version 2).
	hashed bool
	// of a bucket the leases, of a slot those beyond the first four.
	count, at int64
}

func (p *containerParser) parse(start []byte) (*Container, error) {
	if len(start) >= slotMagic {
		switch string(start[:slotMagic]) {
		case magicV1:
			return p.slot(start)
		case magicV2:
			p.hashed = true
			return p.slot(start)
		}
	}
	if len(start) < bucketStart {
		return nil, ErrContainer
	}
	version := binary.BigEndian.Uint32(start)
	if version != 1 && version != 2 {
		return nil, ErrContainer
	}
	p.hashed = version == 2
	p.count = int64(binary.BigEndian.Uint32(start[8:]))
	p.at = p.size - p.count*bucketLease
	c := &Container{Kind: storage.Immutable, At: bucketStart, Length: p.at - bucketStart}
	if c.Length <= 0 {
		return nil, ErrContainer
	}
	return c, nil
}

func (p *containerParser) slot(start []byte) (*Container, error) {
	if len(start) < slotStart {
		return nil, ErrContainer
	}
	length, extra := binary.BigEndian.Uint64(start[84:]), binary.BigEndian.Uint64(start[92:])
	if extra > uint64(p.size) || extra < slotStart || length > extra-slotStart {
		return nil, ErrContainer
	}
	p.at = int64(extra)
	return &Container{Kind: storage.Mutable, At: slotStart, Length: int64(length), NodeID: [20]byte(start[32:52]),
		Enabler: blake2b.Sum256(start[52:84])}, nil
}

// leases reads the leases of c, of which start are the first bytes.
func (p *containerParser) leases(c *Container, start []byte) error {
	size, from := int64(bucketLease), p.at
	if c.Kind == storage.Mutable {
		size, from = slotLease, p.at+4
		for i := range slotLeases {
			p.add(c, start[slotFirstLease+i*slotLease:][:slotLease])
		}
		// Older servers made containers that end with the data.
		var count [4]byte
		n, err := p.r.ReadAt(count[:], p.at)
		if err != nil && err != io.EOF {
			return err
		}
		if n == len(count) {
			p.count = min(int64(binary.BigEndian.Uint32(count[:])), (p.size-from)/slotLease)
		}
	}
	if c.MoreLeases = p.count > maxRead; c.MoreLeases {
		p.count = maxRead
	}
	b := make([]byte, size*p.count)
	if n, err := p.r.ReadAt(b, from); n < len(b) && err != nil {
		if err == io.EOF {
			return ErrContainer
		}
		return err
	}
	for ; len(b) > 0; b = b[size:] {
		p.add(c, b[:size])
	}
	return nil
}

// add takes one lease of c.
func (p *containerParser) add(c *Container, b []byte) {
	owner := binary.BigEndian.Uint32(b)
	var l ContainerLease
	var secrets []byte
	if c.Kind == storage.Mutable {
		if owner == 0 {
			return
		}
		l.Ends, secrets = binary.BigEndian.Uint32(b[4:]), b[8:72]
	} else {
		secrets, l.Ends = b[4:68], binary.BigEndian.Uint32(b[68:])
	}
	l.Lease = Lease{[32]byte(secrets[:32]), [32]byte(secrets[32:])}
	if !p.hashed {
		l.Lease = Lease{blake2b.Sum256(secrets[:32]), blake2b.Sum256(secrets[32:])}
	}
	c.Leases = append(c.Leases, l)
}
