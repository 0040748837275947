package main

import (
	"errors"
)

// Exit statuses: those of Tahoe-LAFS, and exitLeft for lafs storage fsck.
const (
	exitGood     = 0
	exitFailure  = 1
	exitNotFound = 2
	exitLeft     = 3
)

var (
	errInterrupted = errors.New("interrupted")
	errNotFound    = errors.New("not found")
)

// exitStatuses is the one table from error to exit status; every error that
// is not in it is a failure.
var exitStatuses = []struct {
	err    error
	status int
}{
	{nil, exitGood},
	{errNotFound, exitNotFound},
	{errSkipped, exitNotFound},
	{errLeft, exitLeft},
}

func exitStatus(err error) int {
	for _, row := range exitStatuses {
		if errors.Is(err, row.err) {
			return row.status
		}
	}
	return exitFailure
}
