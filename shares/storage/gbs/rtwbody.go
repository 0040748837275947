package gbs

import (
	"math"

	"github.com/fxamacker/cbor/v2"

	"lafs/shares/storage"
)

const (
	// maxVectors is how many tests of a share, and how many reads, one
	// request has.
	maxVectors = 30
	// maxPatches is far above what a Tahoe-LAFS client writes at once: one
	// for each segment, and a few.
	maxPatches = 1 << 16
)

var (
	decodeRTW       = rtwDecoder(cbor.ExtraDecErrorUnknownField)
	decodeRTWAnswer = rtwDecoder(cbor.ExtraDecErrorNone)
)

func rtwDecoder(extra cbor.ExtraDecErrorCond) cbor.DecMode {
	return must(cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, ExtraReturnErrors: extra,
		MaxNestedLevels: 8, MaxArrayElements: maxPatches, MaxMapPairs: 256,
		FieldNameMatching: cbor.FieldNameMatchingCaseSensitive, UTF8: cbor.UTF8RejectInvalid, TagsMd: cbor.TagsForbidden,
	}.DecMode())
}

type rtwBody struct {
	Writes *map[uint64]testWriteBody `cbor:"test-write-vectors"`
	Reads  *[]spanBody               `cbor:"read-vector"`
}

type testWriteBody struct {
	Tests   *[]testBody  `cbor:"test"`
	Patches *[]patchBody `cbor:"write"`
	// NewLength is a number or null, and must be there.
	NewLength cbor.RawMessage `cbor:"new-length"`
}

type spanBody struct {
	Offset *uint64 `cbor:"offset"`
	Size   *uint64 `cbor:"size"`
}

type testBody struct {
	Offset   *uint64 `cbor:"offset"`
	Size     *uint64 `cbor:"size"`
	Specimen *[]byte `cbor:"specimen"`
}

type patchBody struct {
	Offset *uint64 `cbor:"offset"`
	Data   *[]byte `cbor:"data"`
}

type rtwAnswerBody struct {
	Success *bool                `cbor:"success"`
	Data    *map[uint64][][]byte `cbor:"data"`
}

// An rtw is a read-test-write.
type rtw struct {
	writes map[storage.ShareNumber]storage.TestWrite
	spans  []storage.Span
}

// cborNull is null in CBOR.
const cborNull = 0xf6

func marshalRTW(r rtw) ([]byte, error) {
	writes, reads := map[uint64]testWriteBody{}, spansToBody(r.spans)
	for n, w := range r.writes {
		tests, patches, length := []testBody{}, []patchBody{}, cbor.RawMessage{cborNull}
		for _, t := range w.Tests {
			s := spansToBody([]storage.Span{t.Span})[0]
			specimen := orEmpty(t.Specimen)
			tests = append(tests, testBody{s.Offset, s.Size, &specimen})
		}
		for _, p := range w.Patches {
			offset, data := uint64(p.Offset), orEmpty(p.Data)
			patches = append(patches, patchBody{&offset, &data})
		}
		if w.NewLength != nil {
			var err error
			if length, err = encodeSorted.Marshal(uint64(*w.NewLength)); err != nil {
				return nil, err
			}
		}
		writes[uint64(n)] = testWriteBody{&tests, &patches, length}
	}
	return encodeSorted.Marshal(rtwBody{&writes, &reads})
}

// orEmpty keeps nil from becoming null.
func orEmpty(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

func spansToBody(spans []storage.Span) []spanBody {
	out := []spanBody{}
	for _, s := range spans {
		offset, size := uint64(s.Offset), uint64(s.Size)
		out = append(out, spanBody{&offset, &size})
	}
	return out
}

// headCost is at least what one element of CBOR becomes in memory, beside
// its bytes: a test that has nothing takes one byte on the wire, and 24 here.
const headCost = 32

// heads counts the elements of a body, as far as it can be read. There may be
// a million in some MiB, so that they are claimed before they are made.
func heads(b []byte) (n int64) {
	for len(b) > 0 {
		n++
		major, low := b[0]>>5, b[0]&31
		b = b[1:]
		arg := uint64(low)
		if low >= 24 {
			size := 1 << (low - 24)
			if low > 27 || len(b) < size {
				return n
			}
			arg = 0
			for _, c := range b[:size] {
				arg = arg<<8 | uint64(c)
			}
			b = b[size:]
		}
		if major == 2 || major == 3 {
			if arg > uint64(len(b)) {
				return n
			}
			b = b[arg:]
		}
	}
	return n
}

func parseRTW(b []byte) (rtw, error) {
	var body rtwBody
	if err := decodeRTW.Unmarshal(b, &body); err != nil || body.Writes == nil || body.Reads == nil || len(*body.Reads) > maxVectors {
		return rtw{}, errBody
	}
	out := rtw{writes: map[storage.ShareNumber]storage.TestWrite{}}
	for _, r := range *body.Reads {
		span, err := spanOf(r.Offset, r.Size)
		if err != nil {
			return rtw{}, err
		}
		out.spans = append(out.spans, span)
	}
	for n, w := range *body.Writes {
		if n > 255 {
			return rtw{}, errBody
		}
		tw, err := w.testWrite()
		if err != nil {
			return rtw{}, err
		}
		out.writes[storage.ShareNumber(n)] = tw
	}
	return out, nil
}

func spanOf(offset, size *uint64) (storage.Span, error) {
	if offset == nil || size == nil || *offset > math.MaxInt64 || *size > math.MaxInt64 {
		return storage.Span{}, errBody
	}
	return storage.Span{Offset: int64(*offset), Size: int64(*size)}, nil
}

func (w *testWriteBody) testWrite() (out storage.TestWrite, err error) {
	if w.Tests == nil || w.Patches == nil || len(w.NewLength) == 0 || len(*w.Tests) > maxVectors {
		return out, errBody
	}
	for _, t := range *w.Tests {
		span, err := spanOf(t.Offset, t.Size)
		if err != nil || t.Specimen == nil {
			return out, errBody
		}
		out.Tests = append(out.Tests, storage.Test{Span: span, Specimen: *t.Specimen})
	}
	for _, p := range *w.Patches {
		if p.Offset == nil || p.Data == nil || *p.Offset > math.MaxInt64 {
			return out, errBody
		}
		out.Patches = append(out.Patches, storage.Patch{Offset: int64(*p.Offset), Data: *p.Data})
	}
	if len(w.NewLength) == 1 && w.NewLength[0] == cborNull {
		return out, nil
	}
	var length uint64
	// Major type 0 is an unsigned number: nothing else may become one.
	if w.NewLength[0]>>5 != 0 || decodeRTW.Unmarshal(w.NewLength, &length) != nil || length > math.MaxInt64 {
		return out, errBody
	}
	n := int64(length)
	out.NewLength = &n
	return out, nil
}

// An rtwAnswer is what came of a read-test-write.
type rtwAnswer struct {
	success bool
	data    map[storage.ShareNumber][][]byte
}

func marshalRTWAnswer(a rtwAnswer) ([]byte, error) {
	data := map[uint64][][]byte{}
	for n, parts := range a.data {
		list := [][]byte{}
		for _, p := range parts {
			list = append(list, orEmpty(p))
		}
		data[uint64(n)] = list
	}
	return encodeSorted.Marshal(rtwAnswerBody{&a.success, &data})
}

func parseRTWAnswer(b []byte) (a rtwAnswer, err error) {
	var body rtwAnswerBody
	if err := decodeRTWAnswer.Unmarshal(b, &body); err != nil || body.Success == nil || body.Data == nil {
		return a, errBody
	}
	a = rtwAnswer{*body.Success, map[storage.ShareNumber][][]byte{}}
	for n, parts := range *body.Data {
		if n > 255 || len(parts) > maxVectors {
			return rtwAnswer{}, errBody
		}
		a.data[storage.ShareNumber(n)] = parts
	}
	return a, nil
}
