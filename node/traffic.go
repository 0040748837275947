package node

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Traffic is what others asked of the storage server, in numbers. Bytes are
// those of bodies. Nothing in it says who asked, or for what.
type Traffic struct {
	Requests int64 `json:"requests"`
	// Failed are those that the server could not do, through a fault of its
	// own or for want of room.
	Failed   int64 `json:"failed"`
	Received int64 `json:"received_bytes"`
	Sent     int64 `json:"sent_bytes"`
}

func (t *Traffic) add(u Traffic) {
	t.Requests += u.Requests
	t.Failed += u.Failed
	t.Received += u.Received
	t.Sent += u.Sent
}

// A traffic counts requests, in memory only: over all, by what was asked,
// and for the last hour by minute.
type traffic struct {
	now func() time.Time

	mu    sync.Mutex
	total Traffic             // guarded by mu
	kinds map[[2]string]int64 // by operation and outcome; guarded by mu
	ring  [60]struct {        // guarded by mu
		minute int64
		sum    Traffic
	}
}

func newTraffic(now func() time.Time) *traffic {
	return &traffic{now: now, kinds: map[[2]string]int64{}}
}

func (t *traffic) add(operation, outcome string, sum Traffic) {
	minute := t.now().Unix() / 60
	t.mu.Lock()
	defer t.mu.Unlock()
	t.total.add(sum)
	t.kinds[[2]string{operation, outcome}]++
	slot := &t.ring[int(((minute%60)+60)%60)]
	if slot.minute != minute {
		slot.minute, slot.sum = minute, Traffic{}
	}
	slot.sum.add(sum)
}

// sums are the traffic since the start, and of the last hour.
func (t *traffic) sums() (total, hour Traffic) {
	minute := t.now().Unix() / 60
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, slot := range t.ring {
		if slot.minute > minute-60 && slot.minute <= minute {
			hour.add(slot.sum)
		}
	}
	return t.total, hour
}

// byKind calls f for each count.
func (t *traffic) byKind(f func(operation, outcome string, n int64)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for k, n := range t.kinds {
		f(k[0], k[1], n)
	}
}

// handler counts the requests to h.
func (t *traffic) handler(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := &countedBody{ReadCloser: r.Body}
		if r.Body != nil {
			r.Body = body
		}
		answer := &countedAnswer{ResponseWriter: w, status: http.StatusOK}
		defer func() {
			sum := Traffic{Requests: 1, Received: body.n, Sent: answer.n}
			if answer.status >= 500 {
				sum.Failed = 1
			}
			t.add(operation(r), outcome(answer.status), sum)
		}()
		h.ServeHTTP(answer, r)
	})
}

// operations are the kinds of requests, by the beginning of their path. The
// rest of a path never becomes a name: it is whatever somebody sent.
var operations = []struct{ prefix, name string }{
	{"/storage/v1/version", "version"},
	{"/storage/v1/immutable/", "immutable"},
	{"/storage/v1/mutable/", "mutable"},
	{"/storage/v1/lease/", "lease"},
	{"/lafs/v1/store", "store"},
	{"/lafs/v1/begin", "begin"},
	{"/lafs/v1/read", "read"},
	{"/lafs/v1/slot", "slot"},
}

func operation(r *http.Request) string {
	for _, o := range operations {
		if !strings.HasPrefix(r.URL.Path, o.prefix) {
			continue
		}
		if o.name == "immutable" || o.name == "mutable" {
			if r.Method == http.MethodGet || r.Method == http.MethodHead {
				return o.name + "_read"
			}
			return o.name + "_write"
		}
		return o.name
	}
	return "other"
}

func outcome(status int) string {
	switch {
	case status < 400:
		return "done"
	case status < 500:
		return "refused"
	}
	return "failed"
}

type countedBody struct {
	io.ReadCloser
	n int64
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n += int64(n)
	return n, err
}

type countedAnswer struct {
	http.ResponseWriter
	status int
	wrote  bool
	n      int64
}

func (a *countedAnswer) WriteHeader(status int) {
	if !a.wrote && status >= 200 {
		a.status, a.wrote = status, true
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *countedAnswer) Write(p []byte) (int, error) {
	a.wrote = true
	n, err := a.ResponseWriter.Write(p)
	a.n += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController through.
func (a *countedAnswer) Unwrap() http.ResponseWriter { return a.ResponseWriter }
