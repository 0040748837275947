package gbs

import (
	"net/http"
	"strconv"
	"strings"

	"lafs/shares/caps"
	"lafs/shares/storage"
)

// The kinds of secret that requests carry in X-Tahoe-Authorization.
const (
	renewSecret   = "lease-renew-secret"
	cancelSecret  = "lease-cancel-secret"
	uploadSecret  = "upload-secret"
	enablerSecret = "write-enabler"
)

const (
	maxAllocateBody = 8192
	// maxCorruptBody is Tahoe's own, in which no more than 32757 of the 32765
	// bytes fit that a reason may have.
	maxCorruptBody = 32768
	noBody         = 0
	// maxWholeBody is for small shares, sent whole.
	maxWholeBody = storage.MaxWholeBody + wholeHead
	// streamBody is no limit: the handler reads as much as Content-Range
	// says, and keeps one piece of it in memory.
	streamBody = -1
	// maxSlotBody has room for shares and what goes with them.
	maxSlotBody = storage.MaxSlotRequest + 256<<10
)

// A route is one request of the protocol. {kind} stands for immutable or
// mutable, {si} for a storage index, {n} for a share number.
type route struct {
	method, path string
	secrets      []string // which the request carries, no more and no less
	maxBody      int64    // bytes of the request's body
	cbor         bool     // the answer is CBOR
	twice        bool     // a server may get it twice without harm
}

// The requests of the protocol.
var (
	getVersion    = &route{http.MethodGet, "/storage/v1/version", nil, noBody, true, true}
	allocate      = &route{http.MethodPost, "/storage/v1/immutable/{si}", []string{renewSecret, cancelSecret, uploadSecret}, maxAllocateBody, true, true}
	writeShare    = &route{http.MethodPatch, "/storage/v1/immutable/{si}/{n}", []string{uploadSecret}, streamBody, true, true}
	abortShare    = &route{http.MethodPut, "/storage/v1/immutable/{si}/{n}/abort", []string{uploadSecret}, noBody, false, false}
	listShares    = &route{http.MethodGet, "/storage/v1/{kind}/{si}/shares", nil, noBody, true, true}
	readShare     = &route{http.MethodGet, "/storage/v1/{kind}/{si}/{n}", nil, noBody, false, true}
	corrupt       = &route{http.MethodPost, "/storage/v1/{kind}/{si}/{n}/corrupt", nil, maxCorruptBody, false, false}
	readTestWrite = &route{http.MethodPost, "/storage/v1/mutable/{si}/read-test-write", []string{enablerSecret, renewSecret, cancelSecret}, maxSlotBody, true, false}
	slotStep      = &route{http.MethodPost, "/lafs/v1/slot/{si}", nil, maxSlotBody, true, false}
	storeWhole    = &route{http.MethodPost, "/lafs/v1/store/{si}", []string{renewSecret, cancelSecret, uploadSecret}, maxWholeBody, true, true}
	beginShare    = &route{http.MethodPatch, "/lafs/v1/begin/{si}/{n}", []string{renewSecret, cancelSecret, uploadSecret}, streamBody, true, true}
	readWhole     = &route{http.MethodPost, "/lafs/v1/read/{si}", nil, maxAllocateBody, true, true}
	readAny       = &route{http.MethodGet, "/lafs/v1/any/{si}", nil, noBody, false, true}
	addLease      = &route{http.MethodPut, "/storage/v1/lease/{si}", []string{renewSecret, cancelSecret}, noBody, false, true}
)

// A place is what a path names.
type place struct {
	kind storage.Kind
	si   caps.StorageIndex
	n    storage.ShareNumber
}

// url writes the path of a request.
func (r *route) url(p place) string {
	return strings.NewReplacer("{kind}", p.kind.String(), "{si}", p.si.String(), "{n}", strconv.Itoa(int(p.n))).Replace(r.path)
}

// match reads a path.
func (r *route) match(path string) (p place, ok bool) {
	want := r.path
	for want != "" {
		var w, g string
		w, want, _ = strings.Cut(want[1:], "/")
		if !strings.HasPrefix(path, "/") {
			return p, false
		}
		g, path, ok = strings.Cut(path[1:], "/")
		if want != "" {
			want = "/" + want
		}
		if ok {
			path = "/" + path
		}
		if ok = p.segment(w, g); !ok {
			return p, false
		}
	}
	return p, path == ""
}

func (p *place) segment(want, got string) bool {
	switch want {
	case "{kind}":
		for _, p.kind = range []storage.Kind{storage.Immutable, storage.Mutable} {
			if p.kind.String() == got {
				return true
			}
		}
		return false
	case "{si}":
		si, err := caps.ParseStorageIndex(got)
		p.si = si
		return err == nil
	case "{n}":
		n, err := strconv.ParseUint(got, 10, 8)
		p.n = storage.ShareNumber(n)
		return err == nil && strconv.FormatUint(n, 10) == got
	}
	return want == got
}
