package gbs

import (
	"errors"
	"math"

	"github.com/fxamacker/cbor/v2"

	"lafs/shares/storage"
)

// setTag marks a CBOR array as a set.
const setTag = 258

var errBody = errors.New("not a body of the storage protocol")

// Limits on what is decoded: 256 share numbers, and of missing ranges as
// many as fit maxAnswer.
var (
	decodeRequest = decoder(cbor.ExtraDecErrorUnknownField)
	decodeAnswer  = decoder(cbor.ExtraDecErrorNone)
	// Map keys of /version are byte strings, all others text.
	encode        = encoder(cbor.FieldNameToTextString)
	encodeVersion = encoder(cbor.FieldNameToByteString)
	// Bodies with maps are the same bytes each time.
	encodeSorted = must(cbor.EncOptions{Sort: cbor.SortBytewiseLexical}.EncMode())
)

// decoder makes a strict mode: no repeated keys, no indefinite lengths, no
// deep nesting. Later Tahoe versions may add fields to an answer, so those
// are skipped; in a request they are refused, as Tahoe does.
func decoder(extra cbor.ExtraDecErrorCond) cbor.DecMode {
	return must(cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, ExtraReturnErrors: extra,
		MaxNestedLevels: 8, MaxArrayElements: 4096, MaxMapPairs: 64,
		FieldNameMatching: cbor.FieldNameMatchingCaseSensitive, FieldNameByteString: cbor.FieldNameByteStringAllowed,
		UTF8: cbor.UTF8RejectInvalid,
	}.DecMode())
}

func encoder(names cbor.FieldNameMode) cbor.EncMode {
	return must(cbor.EncOptions{FieldName: names}.EncMode())
}

// must is for options that are constants.
func must[T any](mode T, err error) T {
	if err != nil {
		panic(err)
	}
	return mode
}

// A set is a CBOR set of share numbers.
type set []storage.ShareNumber

// MarshalCBOR writes tag 258 and an array.
func (s set) MarshalCBOR() ([]byte, error) {
	numbers := make([]uint64, len(s))
	for i, n := range s {
		numbers[i] = uint64(n)
	}
	return encode.Marshal(cbor.Tag{Number: setTag, Content: numbers})
}

// UnmarshalCBOR refuses numbers above 255, repeated ones, and everything
// else that is not a set.
func (s *set) UnmarshalCBOR(b []byte) error {
	var tag cbor.RawTag
	if err := decodeRequest.Unmarshal(b, &tag); err != nil || tag.Number != setTag {
		return errBody
	}
	var numbers []uint64
	if len(tag.Content) == 0 || tag.Content[0]>>5 != 4 {
		return errBody
	}
	if err := decodeRequest.Unmarshal(tag.Content, &numbers); err != nil || len(numbers) > 256 {
		return errBody
	}
	var seen [256]bool
	out := make(set, 0, len(numbers))
	for _, n := range numbers {
		if n > 255 || seen[n] {
			return errBody
		}
		seen[n] = true
		out = append(out, storage.ShareNumber(n))
	}
	*s = out
	return nil
}

type versionBody struct {
	Storage     *limitsBody `cbor:"http://allmydata.org/tahoe/protocols/storage/v1"`
	Application []byte      `cbor:"application-version"`
}

type limitsBody struct {
	MaxImmutable *uint64 `cbor:"maximum-immutable-share-size"`
	MaxMutable   *uint64 `cbor:"maximum-mutable-share-size"`
	Available    *uint64 `cbor:"available-space"`
}

type allocateBody struct {
	Numbers *set    `cbor:"share-numbers"`
	Size    *uint64 `cbor:"allocated-size"`
}

type allocationBody struct {
	AlreadyHave *set `cbor:"already-have"`
	Allocated   *set `cbor:"allocated"`
}

type requiredBody struct {
	Required *[]rangeBody `cbor:"required"`
}

type rangeBody struct {
	Begin *uint64 `cbor:"begin"`
	End   *uint64 `cbor:"end"`
}

type corruptBody struct {
	Reason *string `cbor:"reason"`
}

// applicationVersion is a constant word: nobody learns what we run.
const applicationVersion = "lafs"

func marshalVersion(v storage.Version) ([]byte, error) {
	return encodeVersion.Marshal(versionBody{
		&limitsBody{&v.MaxImmutableShareSize, &v.MaxMutableShareSize, &v.AvailableSpace}, []byte(applicationVersion)})
}

func parseVersion(b []byte) (v storage.Version, err error) {
	var body versionBody
	if err := decodeAnswer.Unmarshal(b, &body); err != nil || body.Storage == nil {
		return v, errBody
	}
	s := body.Storage
	if s.MaxImmutable == nil || s.MaxMutable == nil || s.Available == nil {
		return v, errBody
	}
	return storage.Version{MaxImmutableShareSize: *s.MaxImmutable, MaxMutableShareSize: *s.MaxMutable, AvailableSpace: *s.Available}, nil
}

func marshalAllocate(numbers []storage.ShareNumber, size int64) ([]byte, error) {
	s, n := set(numbers), uint64(size)
	return encode.Marshal(allocateBody{&s, &n})
}

func parseAllocate(b []byte) (numbers []storage.ShareNumber, size int64, err error) {
	var body allocateBody
	if err := decodeRequest.Unmarshal(b, &body); err != nil || body.Numbers == nil || body.Size == nil || *body.Size > math.MaxInt64 {
		return nil, 0, errBody
	}
	return *body.Numbers, int64(*body.Size), nil
}

func marshalAllocation(a storage.Allocation) ([]byte, error) {
	have, allocated := set(a.AlreadyHave), set(a.Allocated)
	return encode.Marshal(allocationBody{&have, &allocated})
}

func parseAllocation(b []byte) (a storage.Allocation, err error) {
	var body allocationBody
	if err := decodeAnswer.Unmarshal(b, &body); err != nil || body.AlreadyHave == nil || body.Allocated == nil {
		return a, errBody
	}
	return storage.Allocation{AlreadyHave: *body.AlreadyHave, Allocated: *body.Allocated}, nil
}

func marshalRequired(missing []storage.Range) ([]byte, error) {
	ranges := make([]rangeBody, len(missing))
	for i, r := range missing {
		begin, end := uint64(r.Begin), uint64(r.End)
		ranges[i] = rangeBody{&begin, &end}
	}
	return encode.Marshal(requiredBody{&ranges})
}

// parseRequired wants ranges that are not empty, and rise.
func parseRequired(b []byte) ([]storage.Range, error) {
	var body requiredBody
	if err := decodeAnswer.Unmarshal(b, &body); err != nil || body.Required == nil {
		return nil, errBody
	}
	var out []storage.Range
	at := uint64(0)
	for _, r := range *body.Required {
		if r.Begin == nil || r.End == nil || *r.Begin < at || *r.End <= *r.Begin || *r.End > math.MaxInt64 {
			return nil, errBody
		}
		at = *r.End
		out = append(out, storage.Range{Begin: int64(*r.Begin), End: int64(*r.End)})
	}
	return out, nil
}

func marshalShares(numbers []storage.ShareNumber) ([]byte, error) {
	return encode.Marshal(set(numbers))
}

func parseShares(b []byte) ([]storage.ShareNumber, error) {
	var s set
	if err := decodeAnswer.Unmarshal(b, &s); err != nil {
		return nil, errBody
	}
	return s, nil
}

func marshalCorrupt(reason string) ([]byte, error) { return encode.Marshal(corruptBody{&reason}) }

func parseCorrupt(b []byte) (string, error) {
	var body corruptBody
	if err := decodeRequest.Unmarshal(b, &body); err != nil || body.Reason == nil || *body.Reason == "" || len(*body.Reason) > 32765 {
		return "", errBody
	}
	return *body.Reason, nil
}
