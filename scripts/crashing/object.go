package main

import (
	"context"
	"fmt"

	"lafs/shares/caps"
	"lafs/shares/storage"
)

// A server is what is broken: one in this process, or at the far end of a
// socket.
type server interface {
	storage.Server
	storage.Slots
	// Leased says whether there is a lease of these secrets.
	Leased(ctx context.Context, si caps.StorageIndex, l *storage.LeaseSecrets) (bool, error)
}

// An object is something on a server that changes in steps, whose number
// says what the server holds.
type object interface {
	// steps is how many there are.
	steps() int
	// step does one. It may have been begun before.
	step(ctx context.Context, s server, i int) error
	// check compares the server with what is promised after so many steps;
	// begun is one more, if another step was begun.
	check(ctx context.Context, s server, done, begun int) error
}

// A progress is how far an object is known to be.
type progress struct {
	object
	done, begun int
}

// next does a step, if there is one left.
func (p *progress) next(ctx context.Context, s server) error {
	if p.done == p.steps() {
		return nil
	}
	p.begun = p.done + 1
	if err := p.step(ctx, s, p.done); err != nil {
		return fmt.Errorf("step %d of %T: %w", p.done, p.object, err)
	}
	p.done++
	return nil
}

func (p *progress) verify(ctx context.Context, s server) error {
	if err := p.check(ctx, s, p.done, p.begun); err != nil {
		return fmt.Errorf("%T after %d steps, %d begun: %w", p.object, p.done, p.begun, err)
	}
	return nil
}
