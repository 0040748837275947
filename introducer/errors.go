package introducer

import "errors"

// Errors that a caller may branch on. None quotes what it refuses.
var (
	// ErrBadFURL is a string that is no introducer's FURL.
	ErrBadFURL = errors.New("not an introducer's FURL")
	// ErrFoolscap is the FURL of one of Tahoe-LAFS's own introducers.
	ErrFoolscap = errors.New("this is a FURL of Tahoe-LAFS's own protocol Foolscap, which lafs does not speak; ask for the FURL of a lafs introducer, or name the servers in private/servers.yaml")
	// ErrBadAnnouncement is an announcement that breaks a rule.
	ErrBadAnnouncement = errors.New("not a valid announcement")
	// ErrBadNURL is a text that is no NURL that leads to an onion service.
	ErrBadNURL = errors.New("not a NURL of a storage server")
)
