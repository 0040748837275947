package mux

import (
	"net/http"
	"slices"
)

// The headers that travel; all others are dropped, when sent and when
// received. Host is always wireHost. Content-Length and Transfer-Encoding are
// net/http's.
var (
	requestHeaders = []string{"Accept", "Authorization", "Content-Range", "Content-Type", "Range", "X-Tahoe-Authorization"}
	answerHeaders  = []string{"Content-Length", "Content-Location", "Content-Range", "Content-Type"}
)

// wireHost is the Host of every request.
const wireHost = "lafs"

// idempotencyKey marks a request that may be sent twice. It never travels.
const idempotencyKey = "Idempotency-Key"

// only returns the headers of h whose names are in list.
func only(h http.Header, list []string) http.Header {
	out := make(http.Header, len(list))
	for _, name := range list {
		if v := h[name]; len(v) > 0 {
			out[name] = slices.Clone(v)
		}
	}
	return out
}
