package node

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"lafs/node/store"
)

// Where the owner operates the node's storage server, on
// private/gateway.sock. Bodies and answers are JSON; an error is text with a
// status of 400 and more.
//
// GET AuthoritiesPath answers []AuthorityStatus. POST GrantPath takes a
// GrantRequest and answers a GrantAnswer; POST RevokePath takes a
// GrantRequest of which only the name counts. POST CollectPath collects what
// has expired, and POST CollectablePath tells what that would be; both answer
// a CollectAnswer.
const (
	AuthoritiesPath = "/lafs/v1/storage/authorities"
	GrantPath       = "/lafs/v1/storage/grant"
	RevokePath      = "/lafs/v1/storage/revoke"
	CollectPath     = "/lafs/v1/storage/collect"
	CollectablePath = "/lafs/v1/storage/collectable"
)

// A FreedAnswer is what is, or would be, freed of one kind of share. Sizes
// are in bytes: Bytes of data, Disk in blocks.
type FreedAnswer struct {
	Indexes int64 `json:"storage_indexes"`
	Shares  int64 `json:"shares"`
	Bytes   int64 `json:"bytes"`
	Disk    int64 `json:"disk"`
}

// A CollectAnswer is what a pass freed, or would.
type CollectAnswer struct {
	// Enabled: [storage] expire.enabled. Where it is off, nothing is freed
	// but for the asking.
	Enabled   bool        `json:"expire_enabled"`
	DryRun    bool        `json:"dry_run"`
	Immutable FreedAnswer `json:"immutable"`
	Mutable   FreedAnswer `json:"mutable"`
	// Kept is the rest, in a dry run.
	Kept *FreedAnswer `json:"kept,omitempty"`
	// RestsUntil: nothing is collected before, since the server was off or
	// its clock was set.
	RestsUntil time.Time `json:"rests_until,omitzero"`
}

// maxOperation bounds a body, in bytes.
const maxOperation = 64 << 10

// operate answers the paths above, and leaves the rest to next.
func (n *Node) operate(next http.Handler) http.Handler {
	type operation struct {
		method string
		do     func(*http.Request) (any, error)
	}
	operations := map[string]operation{
		AuthoritiesPath: {http.MethodGet, func(*http.Request) (any, error) { return n.authorityStatus(), nil }},
		GrantPath:       {http.MethodPost, n.grantRequest},
		RevokePath:      {http.MethodPost, n.revokeRequest},
		CollectPath:     {http.MethodPost, n.collectRequest},
		CollectablePath: {http.MethodPost, n.collectableRequest},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		op, ok := operations[r.URL.Path]
		switch {
		case !ok:
			next.ServeHTTP(w, r)
			return
		case r.Method != op.method:
			http.Error(w, "this asks for "+op.method, http.StatusMethodNotAllowed)
			return
		case n.storage == nil:
			http.Error(w, errNoStorage.Error(), http.StatusConflict)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxOperation)
		answer, err := op.do(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusConflict)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		json.NewEncoder(w).Encode(answer)
	})
}

var errOperation = errors.New("the request is not the JSON that was expected")

func (n *Node) grantRequest(r *http.Request) (any, error) {
	var req GrantRequest
	if json.NewDecoder(r.Body).Decode(&req) != nil {
		return nil, errOperation
	}
	answer, err := n.cfg.grant(n.book, req)
	if err != nil {
		return nil, err
	}
	n.setQuotas()
	n.log.Info("granted an authority on the storage server", "name", answer.Authority.Name)
	return answer, nil
}

func (n *Node) revokeRequest(r *http.Request) (any, error) {
	var req GrantRequest
	if json.NewDecoder(r.Body).Decode(&req) != nil {
		return nil, errOperation
	}
	if err := n.book.Revoke(req.Name); err != nil {
		return nil, err
	}
	n.log.Info("revoked an authority on the storage server", "name", req.Name)
	return struct{}{}, nil
}

func (n *Node) collectRequest(r *http.Request) (any, error) {
	answer := n.collectAnswer()
	sum, err := n.storage.Collect(r.Context())
	switch {
	case errors.Is(err, store.ErrNoExpiry) && !answer.Enabled:
		return nil, errors.New("collection is off: set [storage] expire.enabled = true and expire.mode in tahoe.cfg, and start the node again")
	case errors.Is(err, store.ErrNoExpiry) && !answer.RestsUntil.IsZero():
		return nil, errors.New("the server was off for some days, or its clock was set: nothing is collected before " + answer.RestsUntil.Format(time.DateOnly) + ", so that clients can renew their leases")
	case errors.Is(err, store.ErrNoExpiry):
		return nil, errors.New("the storage directory is another or an older one, in which leases may be missing: nothing is collected")
	case err != nil:
		return nil, err
	}
	answer.Immutable, answer.Mutable = FreedAnswer(sum.Immutable), FreedAnswer(sum.Mutable)
	return answer, nil
}

func (n *Node) collectableRequest(r *http.Request) (any, error) {
	answer := n.collectAnswer()
	sum, err := n.storage.Collectable(r.Context())
	if err != nil {
		return nil, err
	}
	kept := FreedAnswer(sum.Kept)
	answer.DryRun, answer.Kept = true, &kept
	answer.Immutable, answer.Mutable = FreedAnswer(sum.Immutable), FreedAnswer(sum.Mutable)
	return answer, nil
}

func (n *Node) collectAnswer() CollectAnswer {
	out := CollectAnswer{Enabled: n.cfg.Expire.Enabled}
	if until, resting := n.storage.Resting(); resting {
		out.RestsUntil = until
	}
	return out
}
