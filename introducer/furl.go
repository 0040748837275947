package introducer

import (
	"crypto/ed25519"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"lafs/onion"
	"lafs/shares/hashes"
)

// A FURL says where an introducer is and what its holder may do there. It is
// one string in the shape of Tahoe's FURLs (FORMATS.md section 8):
//
//	pb://<id>@tor:<address>.onion:<port>/lafs-publish-<secret>
//	pb://<id>@tor:<address>.onion:<port>/lafs-subscribe-<secret>
//
// The first is for storage servers: it carries both rights, since the
// subscribing secret is derived from the publishing one. The second is for
// those who only read. The id is a tagged hash of the service's key and
// serves as a checksum. Secret: it travels as a pointer and no verb prints
// it.
type FURL struct {
	addr      onion.Addr
	publish   *Secret // nil: may only subscribe
	subscribe *Secret
}

const (
	publishPrefix   = "lafs-publish-"
	subscribePrefix = "lafs-subscribe-"
	maxFURL         = 1024
)

// NewFURL returns the publishing FURL of an introducer.
func NewFURL(addr onion.Addr, publish *Secret) *FURL {
	return &FURL{addr, publish, publish.Subscribing()}
}

// ParseFURL reads either kind of FURL. Space around it is ignored. It
// returns ErrFoolscap for a FURL that is not ours, and ErrBadFURL for
// anything else; neither quotes the text.
func ParseFURL(text string) (*FURL, error) {
	id, hint, name, err := splitFURL(strings.TrimSpace(text))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadFURL, err)
	}
	f := new(FURL)
	if secret, ok := strings.CutPrefix(name, publishPrefix); ok {
		if f.publish, err = ParseSecret(secret); err != nil {
			return nil, err
		}
		f.subscribe = f.publish.Subscribing()
	} else if secret, ok := strings.CutPrefix(name, subscribePrefix); ok {
		if f.subscribe, err = ParseSecret(secret); err != nil {
			return nil, err
		}
	} else {
		return nil, ErrFoolscap
	}
	if f.addr, err = parseHint(hint); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadFURL, err)
	}
	if id != tubID(f.addr.PublicKey()) {
		return nil, fmt.Errorf("%w: the part before the @ does not belong to the address; was it mistyped?", ErrBadFURL)
	}
	return f, nil
}

// Address returns the introducer's place.
func (f *FURL) Address() onion.Addr { return f.addr }

// PublishSecret returns the right to publish, nil if the FURL has none.
func (f *FURL) PublishSecret() *Secret { return f.publish }

// SubscribeSecret returns the right to subscribe.
func (f *FURL) SubscribeSecret() *Secret { return f.subscribe }

// ReadOnly returns the FURL that may only subscribe.
func (f *FURL) ReadOnly() *FURL { return &FURL{addr: f.addr, subscribe: f.subscribe} }

// Reveal returns the whole string: a secret, for a file of mode 0600 or for
// the person who asked for it.
func (f *FURL) Reveal() string {
	name := subscribePrefix + f.subscribe.Reveal()
	if f.publish != nil {
		name = publishPrefix + f.publish.Reveal()
	}
	return joinFURL(tubID(f.addr.PublicKey()), f.addr, name)
}

// Format prints [secret], whatever the verb.
func (*FURL) Format(s fmt.State, _ rune) { io.WriteString(s, "[secret]") }

// LogValue logs [secret].
func (*FURL) LogValue() slog.Value { return slog.StringValue("[secret]") }

// tubID is the tub id of a key in base32.
func tubID(key ed25519.PublicKey) string {
	id := hashes.TubID(key)
	return encoding.EncodeToString(id[:])
}

func joinFURL(tub string, a onion.Addr, name string) string {
	return "pb://" + tub + "@" + hintPrefix + a.String() + "/" + name
}

// splitFURL takes a FURL apart without looking into the parts, but for the
// tub id.
func splitFURL(s string) (tub, hints, name string, err error) {
	if len(s) > maxFURL {
		return "", "", "", fmt.Errorf("longer than %d characters", maxFURL)
	}
	rest, ok := strings.CutPrefix(s, "pb://")
	if !ok {
		return "", "", "", fmt.Errorf("it does not start with pb://")
	}
	tub, rest, ok = strings.Cut(rest, "@")
	if !ok {
		return "", "", "", fmt.Errorf("no @")
	}
	if raw, ok := decode32(tub); !ok || len(raw) != len(Announcement{}.TubID) {
		return "", "", "", fmt.Errorf("the part before the @ is not 32 characters of base32")
	}
	hints, name, ok = strings.Cut(rest, "/")
	if !ok || name == "" {
		return "", "", "", fmt.Errorf("nothing after the address")
	}
	return tub, hints, name, nil
}

const hintPrefix = "tor:"

// parseHint reads a FURL's connection hints, of which there must be one, an
// onion service's.
func parseHint(hints string) (onion.Addr, error) {
	text, ok := strings.CutPrefix(hints, hintPrefix)
	if !ok {
		return onion.Addr{}, fmt.Errorf("the address does not start with %s", hintPrefix)
	}
	a, err := onion.ParseAddr(text)
	if err != nil {
		return onion.Addr{}, err
	}
	if a.String() != text {
		return onion.Addr{}, fmt.Errorf("the address is not in lower case")
	}
	return a, nil
}
