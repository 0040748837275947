package tail

import (
	"bytes"

	"lafs/shares/agree"
	"lafs/shares/mutable"
	"lafs/shares/storage"
)

const (
	// firstRead is how much of a share is read when nothing is known of it,
	// beside what the request wants: it reaches behind the record of a small
	// one.
	firstRead = 12 << 10
	// scanned is how far behind a share a record is looked for that is not in
	// its place, since the share was another when it was written.
	scanned = 256 << 10
)

// A piece is bytes of a share, from byte at on; ended says that the share
// has no more.
type piece struct {
	at    int64
	data  []byte
	ended bool
}

// pieces are the bytes known of a share.
type pieces []piece

// get returns size bytes from byte at on, fewer only where the share ends;
// ok is false if they are not known.
func (ps pieces) get(at, size int64) (b []byte, ok bool) {
	for _, p := range ps {
		end := p.at + int64(len(p.data))
		if at < p.at || at+size > end && !p.ended {
			continue
		}
		from := min(at, end) - p.at
		to := min(at+size, end) - p.at
		return p.data[from:to:to], true
	}
	return nil, false
}

// A share is one share number of a slot, as far as it is known.
type share struct {
	number storage.ShareNumber
	pieces pieces

	// first are the first bytes, up to mutable.HeaderSize.
	first []byte
	// header is nil where there is no share: only a record, or garbage.
	header  *mutable.Header
	version agree.VersionID
	// unknown: a kind of share that this program does not know.
	unknown bool
	// rec is the record, nil if there is none, and at where it begins. Where
	// there is none, at is its place and past what stands there.
	rec      *record
	recHead  []byte
	at       int64
	past     []byte
	body     []byte
	complete bool // all of the above is known
}

// length is that of the share that readers see.
func (sh *share) length() int64 {
	if sh.header == nil {
		return 0
	}
	return sh.header.ShareSize()
}

// baseAt is where the base share begins.
func (sh *share) baseAt() int64 { return sh.at + headSize + sh.rec.bodySize }

// parse finds share and record in the pieces. It returns the spans that it
// needs besides; none, if it is complete. known are bodies that need not be
// read again.
func (sh *share) parse(known map[[32]byte][]byte) []storage.Span {
	*sh = share{number: sh.number, pieces: sh.pieces}
	need := func(at, size int64) []storage.Span { return []storage.Span{{Offset: at, Size: size}} }
	first, ok := sh.pieces.get(0, mutable.HeaderSize)
	if !ok {
		return need(0, mutable.HeaderSize)
	}
	sh.first = first
	only := bytes.HasPrefix(first, []byte(magic))
	if len(first) == 0 {
		sh.complete = true
		return nil
	}
	if !only {
		h, err := mutable.ParseHeader(first)
		if err != nil {
			sh.unknown, sh.complete = mutable.Format(first[0]) > mutable.MDMF, true
			return nil
		}
		sh.header, sh.version = h, storage.VersionOf(h)
		sh.at = h.ShareSize() + gap
	}
	head, ok := sh.pieces.get(sh.at, headSize)
	if !ok {
		return need(sh.at, headSize)
	}
	sh.past = head
	if sh.rec = parseHead(head); sh.rec == nil && !only {
		if needs := sh.scan(); needs != nil {
			return needs
		}
	}
	sh.complete = true
	if sh.rec == nil {
		return nil
	}
	sh.recHead = bytes.Clone(sh.rec.head())
	body, ok := known[sh.rec.bodyHash]
	if !ok {
		if body, ok = sh.pieces.get(sh.at+headSize, sh.rec.bodySize); !ok {
			sh.complete = false
			return need(sh.at+headSize, sh.rec.bodySize)
		}
	}
	if sh.body = body; !sh.rec.parseBody(body) || sh.rec.number != sh.number {
		// Half a record is none.
		sh.rec, sh.recHead, sh.body = nil, nil, nil
		if sh.header != nil {
			sh.at = sh.length() + gap
		}
	}
	return nil
}

// scan looks for a record that is not in its place: a Tahoe-LAFS client wrote
// a share of another length before it.
func (sh *share) scan() []storage.Span {
	behind, ok := sh.pieces.get(sh.length(), scanned)
	if !ok {
		return []storage.Span{{Offset: sh.length(), Size: scanned}}
	}
	for from := 0; ; {
		i := bytes.Index(behind[from:], []byte(magic))
		if i < 0 {
			return nil
		}
		r := parseHead(behind[from+i:])
		if r != nil && r.number == sh.number && (sh.rec == nil || r.step > sh.rec.step) {
			sh.rec, sh.at = r, sh.length()+int64(from+i)
		}
		from += i + len(magic)
	}
}
