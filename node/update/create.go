package update

import (
	"context"
	"errors"
	"time"

	"lafs/shares/agree"
	"lafs/shares/caps"
	"lafs/shares/mutable"
)

// CreateOptions say what object to make.
type CreateOptions struct {
	// Format, if not nil, replaces the engine's.
	Format *mutable.Format
	// Key, if not nil, is the object's key. There must not be an object with
	// it yet; two engines that make one at once may lose one of the two.
	Key *mutable.Key
}

// createTries is how often an object is begun anew, with another key and on
// other servers, when too few answer.
const createTries = 3

// Create makes an object and returns its write cap, once the content is
// durable on a quorum of servers. Errors are those of Modify, and ErrExists.
func (e *Engine) Create(ctx context.Context, opts CreateOptions, content []byte) (*caps.MutableWriter, error) {
	return e.CreateWith(ctx, opts, func(*caps.MutableWriter) ([]byte, error) { return content, nil })
}

// CreateWith is Create of an object whose first content depends on its cap,
// as a directory's does. content is called once for each key that is tried;
// its error ends the create and is returned as it is.
func (e *Engine) CreateWith(ctx context.Context, opts CreateOptions, content func(w *caps.MutableWriter) ([]byte, error)) (*caps.MutableWriter, error) {
	ctx, cancel := e.bound(ctx)
	defer cancel()
	format := e.cfg.Format
	if opts.Format != nil {
		format = *opts.Format
	}
	var w *caps.MutableWriter
	var err error
	for range createTries {
		key := opts.Key
		if key == nil {
			if key, err = e.newKey(); err != nil {
				return nil, &NotDoneError{err}
			}
		}
		data, contentErr := content(key.WriteCap(format))
		if contentErr != nil {
			return nil, contentErr
		}
		if string(data) == tombstone {
			return nil, &NotDoneError{ErrReserved}
		}
		w, err = e.create(ctx, key, format, data, opts.Key == nil)
		// An object whose cap nobody has is begun anew without harm, where
		// that brings it to other servers.
		if err == nil || opts.Key != nil || ctx.Err() != nil || !errors.Is(err, ErrTooFewServers) || !e.chooses() {
			break
		}
	}
	if unknown, ok := errors.AsType[*UnknownOutcomeError](err); ok && opts.Key == nil {
		// Nobody can have the cap of what may have been made.
		err = &NotDoneError{unknown.Reason}
	}
	if err != nil {
		return nil, err
	}
	return w, nil
}

func (e *Engine) create(ctx context.Context, key *mutable.Key, format mutable.Format, content []byte, isNew bool) (*caps.MutableWriter, error) {
	w := key.WriteCap(format)
	o := e.object(w.ReadOnly().(*caps.MutableReader))
	if !isNew {
		if v := e.look(ctx, o, nil, firstFetch); v.layout != nil || !v.foreign.IsZero() {
			return nil, &NotDoneError{ErrExists}
		} else if err := e.absent(v); err == nil {
			return nil, &NotDoneError{v.reason()}
		}
	}
	l, err := e.place(o.si)
	if err != nil {
		return nil, &NotDoneError{err}
	}
	if err := l.sign(key); err != nil {
		return nil, &NotDoneError{err}
	}
	if o.learn(l) != l {
		return nil, &NotDoneError{ErrExists}
	}
	o.setKey(key)
	e.remember(o, &version{}, agree.Ballot{}, true, time.Time{})
	return w, e.change(ctx, w, func(old *version) ([]byte, error) {
		if !old.id.IsZero() {
			return nil, &NotDoneError{ErrExists}
		}
		return content, nil
	})
}
