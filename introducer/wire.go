package introducer

import "time"

// An introducer's HTTP interface, spoken on onion/mux. Both requests carry
// the header Authorization, see Secret.
//
// POST AnnouncePath, with a publishing secret and a signed announcement as
// body. 204: it is the newest of its server, and durable; a repeat of what
// already stands is a success too, but renews nothing. 409: a newer one is
// known, and is the body; the announcer goes above its sequence number. 400:
// not valid. 507: the introducer knows as many servers as it can.
//
// GET AnnouncementsPath, with a subscribing secret. 200: the announcements
// known, one a line, and then each new one as it comes. Between them nothing
// is sent. The answer ends after a random 1 to 3 hours, so that both ends
// notice dead circuits. There is no way to ask only for what is new: a token
// that comes back would let an introducer tell which of its subscribers'
// circuits belong together.
//
// Both: 401 for a wrong secret, 503 when too many ask at once.
const (
	AnnouncePath      = "/lafs/v1/announce"
	AnnouncementsPath = "/lafs/v1/announcements"
)

// ExpireAfter is how long an announcement lasts that its server does not
// renew, by the receiver's clock: an introducer forgets it, a client places
// no new shares there.
const ExpireAfter = 30 * 24 * time.Hour

// StreamMin and StreamMax bound how long an introducer keeps a subscriber's
// answer open.
const (
	StreamMin = time.Hour
	StreamMax = 3 * time.Hour
)
