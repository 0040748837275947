package gbs_test

import (
	"encoding/base64"
	"encoding/hex"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"lafs/shares/caps"
	"lafs/shares/storage/gbs"
)

const (
	index  = "aeaqcaibaeaqcaibaeaqcaibae" // 16 times 01
	prefix = "/storage/v1/immutable/" + index
)

var (
	testIndex = caps.StorageIndex{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}
	renew     = "lease-renew-secret " + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("r", 32)))
	cancel    = "lease-cancel-secret " + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("c", 32)))
	upload    = "upload-secret " + base64.StdEncoding.EncodeToString([]byte("upload"))
	authLine  = "Authorization: Tahoe-LAFS " + base64.StdEncoding.EncodeToString([]byte(swissnum))
)

// A wire is one request, in the raw, and what must come back.
type wire struct {
	name, method, path string
	headers            []string
	body               string
	status             int
	answer             string // "" is not looked at; hex: for CBOR
}

func secretLines(s ...string) []string {
	out := []string{authLine}
	for _, l := range s {
		out = append(out, "X-Tahoe-Authorization: "+l)
	}
	return out
}

func send(t *testing.T, h http.Handler, w wire) (*http.Response, string) {
	t.Helper()
	u, err := url.Parse("http://lafs" + w.path)
	if err != nil {
		t.Fatal(err)
	}
	req := &http.Request{Method: w.method, URL: u, Host: "lafs", Header: http.Header{}, ProtoMajor: 1, ProtoMinor: 1}
	for _, l := range w.headers {
		k, v, _ := strings.Cut(l, ": ")
		req.Header.Add(k, v)
	}
	if w.body != "" {
		req.Body, req.ContentLength = io.NopCloser(strings.NewReader(w.body)), int64(len(w.body))
	}
	resp, err := answering{t, h}.RoundTrip(req.WithContext(t.Context()))
	if err != nil {
		t.Fatalf("%s: %v", w.name, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s: %v", w.name, err)
	}
	return resp, string(body)
}

func unhex(s string) string {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// allocateHex is FORMATS.md section 9's example: shares 0 and 7, 10 bytes.
const allocateHex = "a26d73686172652d6e756d62657273d901028200076e616c6c6f63617465642d73697a650a"

// TestWire goes through an upload and a download in raw bytes.
func TestWire(t *testing.T) {
	h := gbs.NewHandler(gbs.HandlerConfig{Authorize: authorize(openStore(t, time.Now))})
	all := secretLines(renew, cancel, upload)
	cborType := "Content-Type: application/cbor"
	with := func(lines []string, more ...string) []string { return append(slices.Clone(lines), more...) }
	for _, w := range []wire{
		{"no shares", "GET", prefix + "/shares", []string{authLine}, "", 200, unhex("d9010280")},
		{"allocate", "POST", prefix, with(all, cborType), unhex(allocateHex), 200,
			unhex("a2" + "6c616c72656164792d68617665" + "d9010280" + "69616c6c6f6361746564" + "d90102820007")},
		{"write the end", "PATCH", prefix + "/7", with(secretLines(upload), "Content-Range: bytes 5-9/*"), "56789", 200,
			unhex("a1" + "687265717569726564" + "81" + "a2" + "65626567696e" + "00" + "63656e64" + "05")},
		{"write again", "PATCH", prefix + "/7", with(secretLines(upload), "Content-Range: bytes 5-9/10"), "56789", 200, ""},
		{"write other bytes", "PATCH", prefix + "/7", with(secretLines(upload), "Content-Range: bytes 5-9/*"), "5678x", 409, "conflict"},
		{"write with another secret", "PATCH", prefix + "/7", with(secretLines("upload-secret eHg="), "Content-Range: bytes 0-0/*"), "0", 401, ""},
		{"write to no upload", "PATCH", prefix + "/8", with(secretLines(upload), "Content-Range: bytes 0-0/*"), "0", 404, "not found"},
		{"write without a range", "PATCH", prefix + "/7", secretLines(upload), "01234", 416, ""},
		{"write with a bad range", "PATCH", prefix + "/7", with(secretLines(upload), "Content-Range: bytes 4-0/*"), "01234", 416, ""},
		{"write past the total", "PATCH", prefix + "/7", with(secretLines(upload), "Content-Range: bytes 0-4/4"), "01234", 416, ""},
		{"write fewer bytes", "PATCH", prefix + "/7", with(secretLines(upload), "Content-Range: bytes 0-4/*"), "0123", 400, ""},
		{"write the start", "PATCH", prefix + "/7", with(secretLines(upload), "Content-Range: bytes 0-4/*"), "01234", 201,
			unhex("a1" + "687265717569726564" + "80")},
		{"shares", "GET", prefix + "/shares", []string{authLine, "Accept: application/cbor"}, "", 200, unhex("d901028107")},
		{"read", "GET", prefix + "/7", []string{authLine}, "", 200, "0123456789"},
		{"read a range", "GET", prefix + "/7", []string{authLine, "Range: bytes=2-4"}, "", 206, "234"},
		{"read over the end", "GET", prefix + "/7", []string{authLine, "Range: bytes=8-400000000000"}, "", 206, "89"},
		{"read behind the end", "GET", prefix + "/7", []string{authLine, "Range: bytes=10-20"}, "", 204, ""},
		{"read an open range", "GET", prefix + "/7", []string{authLine, "Range: bytes=2-"}, "", 416, ""},
		{"read a suffix", "GET", prefix + "/7", []string{authLine, "Range: bytes=-2"}, "", 416, ""},
		{"read two ranges", "GET", prefix + "/7", []string{authLine, "Range: bytes=0-1,3-4"}, "", 416, ""},
		{"read no share", "GET", prefix + "/9", []string{authLine}, "", 404, "not found"},
		{"abort what is whole", "PUT", prefix + "/7/abort", secretLines(upload), "", 405, ""},
		{"abort", "PUT", prefix + "/0/abort", secretLines(upload), "", 200, ""},
		{"abort nothing", "PUT", prefix + "/0/abort", secretLines(upload), "", 404, ""},
		{"corrupt", "POST", prefix + "/7/corrupt", []string{authLine, cborType}, unhex("a166726561736f6e6178"), 200, ""},
		{"corrupt without a reason", "POST", prefix + "/7/corrupt", []string{authLine, cborType}, unhex("a166726561736f6e60"), 400, ""},
		{"corrupt nothing", "POST", prefix + "/9/corrupt", []string{authLine, cborType}, unhex("a166726561736f6e6178"), 404, ""},
		{"lease", "PUT", "/storage/v1/lease/" + index, secretLines(renew, cancel), "", 204, ""},
		{"lease on nothing", "PUT", "/storage/v1/lease/" + strings.Repeat("a", 26), secretLines(renew, cancel), "", 404, ""},

		{"no authorization", "GET", prefix + "/7", nil, "", 401, "wrong authorization"},
		{"wrong swissnum", "GET", prefix + "/7", []string{"Authorization: Tahoe-LAFS eHg="}, "", 401, ""},
		{"another scheme", "GET", prefix + "/7", []string{"Authorization: Basic eHg="}, "", 401, ""},
		{"a missing secret", "POST", prefix, with(secretLines(renew, upload), cborType), unhex(allocateHex), 400, ""},
		{"a repeated secret", "POST", prefix, with(secretLines(renew, renew, upload), cborType), unhex(allocateHex), 400, ""},
		{"a secret too many", "GET", prefix + "/7", secretLines(upload), "", 400, ""},
		{"a short lease secret", "PUT", "/storage/v1/lease/" + index, secretLines("lease-renew-secret eHg=", cancel), "", 400, ""},
		{"an unpadded secret", "PUT", prefix + "/0/abort", secretLines("upload-secret eHg"), "", 400, ""},
		{"another type", "POST", prefix, with(all, "Content-Type: application/json"), unhex(allocateHex), 415, ""},
		{"no type", "POST", prefix, all, unhex(allocateHex), 200, ""},
		{"another answer", "GET", prefix + "/shares", []string{authLine, "Accept: application/json"}, "", 406, ""},
		{"any answer", "GET", prefix + "/shares", []string{authLine, "Accept: text/html, */*;q=0.8"}, "", 200, ""},
		{"garbage", "POST", prefix, with(all, cborType), "garbage", 400, "bad request"},
		{"a trailing byte", "POST", prefix, with(all, cborType), unhex(allocateHex) + "x", 400, ""},
		{"share 256", "POST", prefix, with(all, cborType), unhex("a26d73686172652d6e756d62657273d90102811901006e616c6c6f63617465642d73697a650a"), 400, ""},
		{"a body too large", "POST", prefix, with(all, cborType), strings.Repeat("x", 8193), 413, ""},
		{"another method", "DELETE", prefix + "/7", []string{authLine}, "", 405, ""},
		{"another path", "GET", "/storage/v1/none", []string{authLine}, "", 404, ""},
		{"a slash too many", "GET", prefix + "/7/", []string{authLine}, "", 404, ""},
		{"share number 0x7", "GET", prefix + "/07", []string{authLine}, "", 404, ""},
		{"a bad index", "GET", "/storage/v1/immutable/" + strings.ToUpper(index) + "/7", []string{authLine}, "", 404, ""},
	} {
		resp, body := send(t, h, w)
		if resp.StatusCode != w.status || (w.answer != "" && body != w.answer) {
			t.Errorf("%s: got %d %x, want %d %x", w.name, resp.StatusCode, body, w.status, w.answer)
		}
		if strings.Contains(w.name, "range") && resp.StatusCode == 206 && resp.Header.Get("Content-Range") != "bytes 2-4/*" {
			t.Errorf("%s: got Content-Range %q", w.name, resp.Header.Get("Content-Range"))
		}
		for k := range resp.Header {
			if !slices.Contains([]string{"Content-Type", "Content-Length", "Content-Range", "Connection"}, k) {
				t.Errorf("%s: the answer has the header %s", w.name, k)
			}
		}
	}
}

// TestVersionBytes: keys are byte strings, and the software is a word.
func TestVersionBytes(t *testing.T) {
	h := gbs.NewHandler(gbs.HandlerConfig{Authorize: authorize(fixed{})})
	_, body := send(t, h, wire{method: "GET", path: "/storage/v1/version", headers: []string{authLine}})
	want := "a2" + "582f" + hex.EncodeToString([]byte("http://allmydata.org/tahoe/protocols/storage/v1")) +
		"a3" + "581c" + hex.EncodeToString([]byte("maximum-immutable-share-size")) + "03" +
		"581a" + hex.EncodeToString([]byte("maximum-mutable-share-size")) + "02" +
		"4f" + hex.EncodeToString([]byte("available-space")) + "01" +
		"53" + hex.EncodeToString([]byte("application-version")) + "44" + hex.EncodeToString([]byte("lafs"))
	if got := hex.EncodeToString([]byte(body)); got != want {
		t.Errorf("version: got\n%s, want\n%s", got, want)
	}
}
