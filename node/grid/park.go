package grid

import (
	"context"
	"errors"
	"time"
)

const (
	// An encoder that stands still for one server leaves it behind after
	// parkTrips of its trips, but not before parkLeast: what is late on Tor's
	// circuits mostly comes within that.
	parkTrips = 3
	parkLeast = 2 * time.Second
)

// errParked is a server that the others did not wait for, and that gets its
// shares later.
var errParked = errors.New("left for later, since the others would have waited for it")

// park leaves the server behind for which the encoder has stood still so long,
// if somebody wants the cap before everything is placed and the upload is
// happy without it. Its shares are made again when the cap was given, from
// another reading of the source, which is opened now: the caller may close
// the source then.
func (p *push) park(stood time.Duration) {
	u := p.u
	if u.rest == nil || u.told {
		return
	}
	q := p.straggler()
	if q == nil || stood < max(parkTrips*heard(q.cand.server).Trip, parkLeast) || p.isOut(nil) {
		return
	}
	if u.spare == nil {
		spare, err := u.src.Open()
		if err != nil {
			return // it is waited for, as any
		}
		u.spare = spare
	}
	q.fail(errParked)
}

// input begins to read the source; where servers were left behind and the
// caller may be gone, by what was opened for that.
func (u *upload) input(ctx context.Context) (*input, error) {
	if !u.told {
		return openInput(ctx, u.src)
	}
	if u.spare == nil {
		return nil, errSourceGone
	}
	in := &input{ctx, u.spare}
	u.spare = nil
	return in, nil
}

// errSourceGone is our own fault: nothing is encoded once Upload has returned.
var errSourceGone = errors.New("the source was read after its end")

// closeSpare ends what park opened and nobody used.
func (u *upload) closeSpare() {
	if u.spare != nil {
		u.spare.Close()
		u.spare = nil
	}
}
