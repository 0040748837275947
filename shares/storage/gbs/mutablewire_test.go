package gbs_test

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"

	"lafs/shares/storage/gbs"
)

// rtwBody writes a body of read-test-write by hand.
func rtwBody(t *testing.T, body any) string {
	t.Helper()
	b, err := cbor.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

type object = map[string]any

// oneShare is a read-test-write of share 3.
func oneShare(tests []object, writes []object, length any, reads []object) object {
	return object{
		"test-write-vectors": map[uint64]object{3: {"test": tests, "write": writes, "new-length": length}},
		"read-vector":        reads,
	}
}

// TestMutableWire goes through the rows of FORMATS.md section 9 that are
// about slots, in raw bytes.
func TestMutableWire(t *testing.T) {
	h := gbs.NewHandler(gbs.HandlerConfig{Authorize: authorize(openStore(t, time.Now))})
	const slot = "/storage/v1/mutable/" + index
	enabler := "write-enabler " + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("w", 32)))
	other := "write-enabler " + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("o", 32)))
	cborType := "Content-Type: application/cbor"
	rtw := func(secret string) []string { return append(secretLines(secret, renew, cancel), cborType) }
	none := []object{}
	write := func(offset uint64, data string) []object { return []object{{"offset": offset, "data": []byte(data)}} }
	span := func(offset, size uint64) []object { return []object{{"offset": offset, "size": size}} }
	test := func(offset, size uint64, specimen string) []object {
		return []object{{"offset": offset, "size": size, "specimen": []byte(specimen)}}
	}
	many := func(n int) []object { return slices.Repeat(span(0, 1), n) }
	manyTests := func(n int) []object { return slices.Repeat(test(0, 1, "0"), n) }
	success := func(ok bool, parts ...string) string {
		list := [][]byte{}
		for _, p := range parts {
			list = append(list, []byte(p))
		}
		data := map[uint64][][]byte{}
		if len(parts) > 0 {
			data[3] = list
		}
		mode, err := cbor.EncOptions{Sort: cbor.SortBytewiseLexical}.EncMode()
		if err != nil {
			t.Fatal(err)
		}
		b, err := mode.Marshal(object{"success": ok, "data": data})
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	post := func(name string, secret string, body any, status int, answer string) wire {
		return wire{name, "POST", slot + "/read-test-write", rtw(secret), rtwBody(t, body), status, answer}
	}
	bare := rtwBody(t, oneShare(none, write(0, "x"), nil, none))
	for _, w := range []wire{
		{"shares of no slot", "GET", slot + "/shares", []string{authLine}, "", 200, unhex("d9010280")},
		{"read of no slot", "GET", slot + "/3", []string{authLine}, "", 404, "not found"},
		{"corrupt of no slot", "POST", slot + "/3/corrupt", []string{authLine, cborType}, unhex("a166726561736f6e6178"), 404, ""},
		post("make a share", enabler, oneShare(none, write(0, "0123456789"), nil, span(0, 4)), 200, success(true)),
		post("reads see what was before", enabler, oneShare(none, write(0, "A"), nil, span(0, 4)), 200, success(true, "0123")),
		post("a test that passes", enabler, oneShare(test(0, 2, "A1"), write(1, "B"), nil, span(8, 9)), 200, success(true, "89")),
		post("a test that fails", enabler, oneShare(test(0, 2, "xx"), write(0, "C"), nil, span(0, 2)), 200, success(false, "AB")),
		post("another write enabler", other, oneShare(none, write(0, "D"), nil, none), 401, ""),
		post("a hole", enabler, oneShare(none, write(12, "E"), nil, none), 200, ""),
		{"a hole is zeros", "GET", slot + "/3", []string{authLine}, "", 200, "AB23456789\x00\x00E"},
		post("longer is ignored", enabler, oneShare(none, none, uint64(99), none), 200, ""),
		post("shorter cuts", enabler, oneShare(none, none, uint64(10), none), 200, ""),
		{"shares", "GET", slot + "/shares", []string{authLine}, "", 200, unhex("d901028103")},
		{"read", "GET", slot + "/3", []string{authLine}, "", 200, "AB23456789"},
		{"read a range", "GET", slot + "/3", []string{authLine, "Range: bytes=2-4"}, "", 206, "234"},
		{"read over the end", "GET", slot + "/3", []string{authLine, "Range: bytes=8-400000000000"}, "", 206, "89"},
		{"read behind the end", "GET", slot + "/3", []string{authLine, "Range: bytes=10-20"}, "", 204, ""},
		{"read an open range", "GET", slot + "/3", []string{authLine, "Range: bytes=2-"}, "", 416, ""},
		{"read a suffix", "GET", slot + "/3", []string{authLine, "Range: bytes=-2"}, "", 416, ""},
		{"read two ranges", "GET", slot + "/3", []string{authLine, "Range: bytes=0-1,3-4"}, "", 416, ""},
		{"read no share", "GET", slot + "/4", []string{authLine}, "", 404, "not found"},
		{"lease on a slot", "PUT", "/storage/v1/lease/" + index, secretLines(renew, cancel), "", 204, ""},
		{"corrupt", "POST", slot + "/3/corrupt", []string{authLine, cborType}, unhex("a166726561736f6e6178"), 200, ""},
		{"corrupt as JSON", "POST", slot + "/3/corrupt", []string{authLine, "Content-Type: application/json"}, `{"reason":"x"}`, 415, ""},
		{"corrupt at length", "POST", slot + "/3/corrupt", []string{authLine, cborType}, rtwBody(t, object{"reason": strings.Repeat("r", 32757)}), 200, ""},
		{"corrupt at too great length", "POST", slot + "/3/corrupt", []string{authLine, cborType}, rtwBody(t, object{"reason": strings.Repeat("r", 32758)}), 413, ""},
		post("30 reads", enabler, oneShare(none, none, nil, many(30)), 200, ""),
		post("31 reads", enabler, oneShare(none, none, nil, many(31)), 400, ""),
		post("30 tests", enabler, oneShare(manyTests(30), none, nil, none), 200, ""),
		post("31 tests", enabler, oneShare(manyTests(31), none, nil, none), 400, ""),
		post("a negative offset", enabler, oneShare(none, []object{{"offset": -1, "data": []byte("x")}}, nil, none), 400, ""),
		post("no new length", enabler, object{"test-write-vectors": map[uint64]object{3: {"test": none, "write": none}}, "read-vector": none}, 400, ""),
		post("a key too many", enabler, object{"test-write-vectors": map[uint64]object{}, "read-vector": none, "more": 1}, 400, ""),
		post("share 256", enabler, object{"test-write-vectors": map[uint64]object{256: {"test": none, "write": none, "new-length": nil}}, "read-vector": none}, 400, ""),
		{"no write enabler", "POST", slot + "/read-test-write", append(secretLines(renew, cancel), cborType), bare, 400, ""},
		{"a secret too many", "POST", slot + "/read-test-write", append(secretLines(enabler, renew, cancel, upload), cborType), bare, 400, ""},
		{"as JSON", "POST", slot + "/read-test-write", append(secretLines(enabler, renew, cancel), "Content-Type: application/json"), bare, 415, ""},
		{"without a type", "POST", slot + "/read-test-write", secretLines(enabler, renew, cancel), rtwBody(t, oneShare(none, none, nil, none)), 200, ""},
		{"for JSON", "POST", slot + "/read-test-write", append(rtw(enabler), "Accept: application/json"), bare, 406, ""},
		{"an upload to a slot", "PATCH", slot + "/3", append(secretLines(upload), "Content-Range: bytes 0-0/*"), "x", 405, ""},
		post("delete", enabler, oneShare(none, none, uint64(0), none), 200, ""),
		{"shares after it", "GET", slot + "/shares", []string{authLine}, "", 200, unhex("d9010280")},
		{"read after it", "GET", slot + "/3", []string{authLine}, "", 404, "not found"},
	} {
		resp, body := send(t, h, w)
		if resp.StatusCode != w.status || (w.answer != "" && body != w.answer) {
			t.Errorf("%s: got %d %x, want %d %x", w.name, resp.StatusCode, body, w.status, w.answer)
		}
	}
}
