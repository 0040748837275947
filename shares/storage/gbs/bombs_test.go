package gbs_test

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"lafs/onion/mux"
	"lafs/shares/storage/gbs"
)

// A bomb is a small body of CBOR that asks for much, or a large one of which
// every byte is work.
type bomb struct{ name, body string }

func bombs(limit int) []bomb {
	fill := func(begin, unit string) string {
		n := (limit - len(begin)) / len(unit)
		return begin + strings.Repeat(unit, n)
	}
	list := "\xa2\x64step\x64read\x69ancestors\x9a"
	count := (limit - len(list) - 4) / len("\x82\x00\x40")
	return []bomb{
		{"a list that is right and too long", fill(list+string(binary.BigEndian.AppendUint32(nil, uint32(count))), "\x82\x00\x40")},
		{"arrays in arrays", fill("", "\x81")},
		{"maps in maps", fill("", "\xa1\x00")},
		{"tags on tags", fill("", "\xd8\x20") + "\x00"},
		{"an array of 2^63 elements", "\x9b\x7f\xff\xff\xff\xff\xff\xff\xff"},
		{"a map of 2^32 pairs", "\xbb\x00\x00\x00\x01\x00\x00\x00\x00"},
		{"bytes of 2^63", "\x5b\x7f\xff\xff\xff\xff\xff\xff\xff"},
		{"text of 2^31", "\x7a\x80\x00\x00\x00abc"},
		{"a field of 2^40 bytes", "\xa1\x66shares\xa1\x00\x5b\x00\x00\x01\x00\x00\x00\x00\x00"},
		{"an endless array", fill("\x9f", "\x00")},
		{"an endless map", fill("\xbf", "\x61a\x00")},
		{"an endless text", fill("\x7f", "\x61a")},
		{"a million elements", fill("\x9a\x00\x10\x00\x00", "\x00")},
		{"a million pairs", fill("\xba\x00\x10\x00\x00", "\x40\x00")},
		{"one field again and again", fill("\xb9\x10\x00", "\x66shares\xa0")},
		{"numbers of shares again and again", fill("\xa1\x6dshare-numbers\xd9\x01\x02\x99\xff\xff", "\x07")},
		{"a big number", fill("\xc2\x5a\x00\x10\x00\x00", "\xff")},
		{"zeros", fill("", "\x00")},
	}
}

// TestBombs: whatever CBOR a request brings to whatever takes it, it gets a
// plain answer, and costs little more memory than it has bytes.
func TestBombs(t *testing.T) {
	h := gbs.NewHandler(gbs.HandlerConfig{Authorize: authorize(openStore(t, nil))})
	enabler := "write-enabler " + strings.TrimPrefix(renew, "lease-renew-secret ")
	const mutable = "/storage/v1/mutable/" + index
	for _, to := range []struct {
		method, path string
		headers      []string
		limit        int    // of the body
		good         string // a body that is taken, so that it is the bombs that are refused
	}{
		{"POST", prefix, secretLines(renew, cancel, upload), 8192, unhex(allocateHex)},
		{"POST", prefix + "/0/corrupt", secretLines(), 32768, ""},
		{"POST", mutable + "/0/corrupt", secretLines(), 32768, ""},
		{"POST", mutable + "/read-test-write", secretLines(enabler, renew, cancel), 1 << 20, "\xa2\x72test-write-vectors\xa0\x6bread-vector\x80"},
		{"POST", "/lafs/v1/slot/" + index, secretLines(), 1 << 20, "\xa1\x64step\x64read"},
		{"POST", "/lafs/v1/store/" + index, secretLines(renew, cancel, upload), 1 << 20, ""},
		{"POST", "/lafs/v1/read/" + index, secretLines(), 8192, "\xa1\x65limit\x0a"},
	} {
		if to.good != "" {
			resp, body := send(t, h, wire{name: "good", method: to.method, path: to.path,
				headers: append([]string{"Content-Type: application/cbor"}, to.headers...), body: to.good})
			if resp.StatusCode >= 300 {
				t.Errorf("%s: status %d, %q for what is right", to.path, resp.StatusCode, body)
			}
		}
		for _, b := range bombs(to.limit) {
			t.Run(fmt.Sprintf("%s %s %s", to.method, to.path, b.name), func(t *testing.T) {
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				resp, _ := send(t, h, wire{name: b.name, method: to.method, path: to.path,
					headers: append([]string{"Content-Type: application/cbor"}, to.headers...), body: b.body})
				runtime.ReadMemStats(&after)
				if resp.StatusCode < 400 || resp.StatusCode >= 500 {
					t.Errorf("status %d", resp.StatusCode)
				}
				if grew := after.TotalAlloc - before.TotalAlloc; grew > uint64(8*len(b.body)+1<<20) {
					t.Errorf("%d bytes cost %d", len(b.body), grew)
				}
			})
		}
	}
}

// TestBombOfManyElements: a body of elements that are next to nothing is
// refused before they are made.
func TestBombOfManyElements(t *testing.T) {
	h := gbs.NewHandler(gbs.HandlerConfig{Authorize: authorize(openStore(t, nil)), Budget: mux.NewBudget(mux.BudgetConfig{Bytes: 32 << 20})})
	enabler := "write-enabler " + strings.TrimPrefix(renew, "lease-renew-secret ")
	var b strings.Builder
	b.WriteString("\xa2\x72test-write-vectors\xb8\x40")
	for n := range 64 {
		b.WriteString("\x18" + string([]byte{byte(100 + n)}) + "\xa3\x64test\x80\x65write\x99\xff\xff" + strings.Repeat("\xa0", 0xffff) + "\x6anew-length\xf6")
	}
	b.WriteString("\x6bread-vector\x80")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	resp, _ := send(t, h, wire{name: "empty patches", method: "POST", path: "/storage/v1/mutable/" + index + "/read-test-write",
		headers: append([]string{"Content-Type: application/cbor"}, secretLines(enabler, renew, cancel)...), body: b.String()})
	runtime.ReadMemStats(&after)
	if grew := after.TotalAlloc - before.TotalAlloc; resp.StatusCode != 503 || grew > uint64(4*b.Len()) {
		t.Errorf("%d bytes cost %d, status %d", b.Len(), grew, resp.StatusCode)
	}
}
