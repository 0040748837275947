package immutable

import "errors"

// ErrCorrupt is matched by errors that say that a share's bytes are wrong:
// its server should hear of it, and another share be used. Errors of a
// ShareReader never match it unless they do so by themselves.
var ErrCorrupt = errors.New("corrupt share")

// ErrWrongCap is matched by errors that say that the share is whole and the
// cap names other numbers than the file has: no share can help, and no server
// is to blame. Such an error never matches ErrCorrupt.
var ErrWrongCap = errors.New("the cap is wrong: its size, or its numbers of shares, are not the file's; copy it again from where it was kept")

type corruptError struct{ why string }

func corrupt(why string) error { return &corruptError{why} }

func (e *corruptError) Error() string        { return "corrupt share: " + e.why }
func (e *corruptError) Is(target error) bool { return target == ErrCorrupt }
