package onion

// A Status is how a Network is doing, for a person to read. It holds no
// address of anybody.
type Status struct {
	// Mode says which Tor is used: launch, system, control, socks, or memory.
	Mode string
	// Version is Tor's own, empty where it cannot be asked.
	Version string
	// Bootstrap is Tor's progress in percent; 100 is connected, -1 unknown
	// (SOCKS only).
	Bootstrap int
	// Summary is Tor's word for its progress, such as "Connecting to a relay".
	Summary string
	// Warning is what is wrong at present, empty when nothing is.
	Warning string
	// Defences says what Tor was asked to do for our services against floods;
	// empty while none is published.
	Defences string
	// Circuits says whether Tor has circuits through its network.
	Circuits Known
	// Services are those of our own that are to be published, Published
	// those of them whose descriptor has been taken by one of Tor's
	// directories at least. Uploads and FailedUploads count the directories
	// that took one, and that did not, since the connection to Tor was made.
	Services, Published, Uploads, FailedUploads int
}

// A Known is something that may be not known.
type Known uint8

// What may be known.
const (
	Unknown Known = iota
	No
	Yes
)

// Ready reports whether the network can carry traffic, as far as it knows.
func (s Status) Ready() bool { return s.Warning == "" && (s.Bootstrap == 100 || s.Bootstrap == -1) }
