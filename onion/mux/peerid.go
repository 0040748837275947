package mux

import "context"

// SessionOf returns what tells the requests of one session from those of
// another, for bounds that are to be fair: a session is one circuit, and so
// costs its peer something. It can be compared and says nothing about who the
// peer is. nil: the request did not come by a place of a Budget.
func SessionOf(ctx context.Context) any {
	if p := PlaceOf(ctx); p != nil {
		return p
	}
	return nil
}
