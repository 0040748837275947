package gbs_test

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"lafs/node/store"
	"lafs/onion/mux"
	"lafs/shares/storage/gbs"
)

// A paper is where an answer is written to.
type paper struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (p *paper) Header() http.Header { return p.header }

func (p *paper) WriteHeader(status int) {
	if p.status == 0 {
		p.status = status
	}
}

func (p *paper) Write(b []byte) (int, error) {
	p.WriteHeader(http.StatusOK)
	return p.body.Write(b)
}

// FuzzRequest: whatever a client asks for, with a right to store or without,
// is answered by the protocol, is no fault of ours, and leaves nothing
// claimed.
func FuzzRequest(f *testing.F) {
	st, err := store.Open(store.Config{Dir: f.TempDir()})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { st.Close() })
	budget := mux.NewBudget(mux.BudgetConfig{Bytes: 16 << 20})
	h := gbs.NewHandler(gbs.HandlerConfig{Authorize: authorize(st), Budget: budget})
	enabler := "write-enabler " + strings.TrimPrefix(renew, "lease-renew-secret ")
	mutable := "/storage/v1/mutable/" + index
	auth := strings.TrimPrefix(authLine, "Authorization: ")
	for _, s := range []struct{ method, path, auth, secrets, ranges, body string }{
		{"GET", "/storage/v1/version", auth, "", "", ""},
		{"GET", "/storage/v1/version", "Tahoe-LAFS", "", "", ""},
		{"POST", prefix, auth, renew + "\n" + cancel + "\n" + upload, "", unhex(allocateHex)},
		{"PATCH", prefix + "/1", auth, upload, "bytes 0-3/*", "data"},
		{"PATCH", prefix + "/1", auth, upload, "bytes 0-9223372036854775806/*", "data"},
		{"PATCH", prefix + "/1", auth, upload, "bytes -1-3/4", "data"},
		{"PUT", prefix + "/1/abort", auth, upload, "", ""},
		{"GET", prefix + "/shares", auth, "", "", ""},
		{"GET", prefix + "/1", auth, "", "bytes=0-9223372036854775806", ""},
		{"GET", prefix + "/1", auth, "", "bytes=5-2", ""},
		{"GET", prefix + "/256", auth, "", "", ""},
		{"POST", prefix + "/1/corrupt", auth, "", "", "\xa1\x66reason\x61x"},
		{"PUT", "/storage/v1/lease/" + index, auth, renew + "\n" + cancel, "", ""},
		{"POST", mutable + "/read-test-write", auth, enabler + "\n" + renew + "\n" + cancel, "", "\xa2\x72test-write-vectors\xa0\x6bread-vector\x80"},
		{"POST", "/lafs/v1/slot/" + index, auth, "", "", "\xa1\x64step\x64read"},
		{"POST", "/lafs/v1/store/" + index, auth, renew + "\n" + cancel + "\n" + upload, "", "\xa1\x66shares\xa1\x00\x41x"},
		{"POST", "/lafs/v1/store/" + index, auth, renew + "\n" + cancel + "\n" + upload, "", "\xa2\x67numbers\x81\x01\x64size\x0a"},
		{"POST", "/lafs/v1/read/" + index, auth, "", "", "\xa2\x65limit\x0a\x65spans\x81\x82\x00\x05"},
		{"PATCH", "/lafs/v1/begin/" + index + "/2", auth, renew + "\n" + cancel + "\n" + upload, "bytes 0-3/9", "data"},
	} {
		f.Add(s.method, s.path, s.auth, s.secrets, s.ranges, []byte(s.body), true)
	}
	f.Fuzz(func(t *testing.T, method, path, auth, secrets, ranges string, body []byte, told bool) {
		r := &http.Request{Method: method, URL: &url.URL{Path: path}, Header: http.Header{"Authorization": {auth}}, ContentLength: -1}
		for line := range strings.Lines(secrets) {
			r.Header.Add("X-Tahoe-Authorization", strings.TrimSuffix(line, "\n"))
		}
		if ranges != "" {
			r.Header["Range"], r.Header["Content-Range"] = []string{ranges}, []string{ranges}
		}
		if told {
			r.ContentLength = int64(len(body))
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		out := &paper{header: http.Header{}}
		h.ServeHTTP(out, r.WithContext(t.Context()))
		if out.status < 200 || out.status >= 500 && out.status != http.StatusServiceUnavailable && out.status != http.StatusInsufficientStorage {
			t.Errorf("%s %q: status %d", method, path, out.status)
		}
		for name, values := range out.header {
			switch name {
			case "Content-Length", "Content-Range", "Content-Type":
			default:
				if len(values) > 0 {
					t.Errorf("%s %q: the answer has %s", method, path, name)
				}
			}
		}
		if auth != strings.TrimPrefix(authLine, "Authorization: ") && out.status < 400 {
			t.Errorf("%s %q: status %d without the right to it", method, path, out.status)
		}
		if left := budget.Load().Bytes; left != 0 {
			t.Errorf("%s %q: %d bytes stay claimed", method, path, left)
		}
	})
}
