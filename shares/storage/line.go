package storage

import "time"

// A Line is what a Server at the far end of a wire knows of the way. None of
// it does I/O that anybody waits for.
type Line interface {
	// Expect says that about so many bytes are about to move either way, so
	// that the way can be made as wide as pays.
	Expect(bytes int64)
	// Heard returns what is known of the server's answers.
	Heard() Heard
}

// Heard is what has come from a server.
type Heard struct {
	// Last is when bytes of bulk last came; zero if none have.
	Last time.Time
	// Moved counts the bytes of bulk that have ever come; 0 if not known.
	Moved int64
	// Trip is how long a round trip takes; 0 if not known.
	Trip time.Duration
}
