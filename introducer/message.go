package introducer

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"strings"

	"lafs/onion"
	"lafs/shares/hashes"
)

// A message is an announcement's text in JSON: Tahoe's keys where the meaning
// is Tahoe's (FORMATS.md section 11), in alphabetical order, without space.
// There is one text for one announcement; anything else is refused, so no
// other key can travel along.
type message struct {
	Address   string   `json:"address"`
	Format    int      `json:"announcement-format"`
	FURL      string   `json:"anonymous-storage-FURL"`
	NURLs     []string `json:"anonymous-storage-NURLs,omitempty"` // of the door, one
	Nickname  string   `json:"nickname,omitempty"`
	Seed      string   `json:"permutation-seed-base32"`
	Protocols []int    `json:"protocols"`
	Seqnum    uint64   `json:"seqnum"`
	Service   string   `json:"service-name"`
	TubCert   string   `json:"tub-certificate,omitempty"`
	TubSig    string   `json:"tub-signature,omitempty"`
}

const (
	messageFormat = 1
	storageName   = "storage"
)

// An envelope is the signed announcement: a JSON list as Tahoe's ann_t, with
// the onion key's signature as a fourth entry.
type envelope struct{ msg, sig, key, binding string }

// Sign returns the announcement signed by the server's node key and by the
// key of its onion service: one line of JSON of at most MaxSize bytes.
// ServerKey is taken from node, TubID from that or from Tub. It refuses what
// Open would refuse.
func Sign(a *Announcement, node ed25519.PrivateKey, place *onion.Key) ([]byte, error) {
	own := *a
	own.ServerKey = node.Public().(ed25519.PublicKey)
	own.TubID = hashes.TubID(own.ServerKey)
	if own.Tub != nil {
		own.TubID = own.Tub.id()
	}
	tubCert, tubSig := own.Tub.texts()
	if err := own.check(); err != nil {
		return nil, err
	}
	var nurls []string
	if n := own.NURL(); n != nil {
		nurls = []string{n.Reveal()}
	}
	msg, err := marshal(message{
		NURLs:     nurls,
		Address:   own.Address.String(),
		Format:    messageFormat,
		FURL:      joinFURL(encoding.EncodeToString(own.TubID[:]), own.Address, own.Swissnum.Reveal()),
		Nickname:  own.Nickname,
		Seed:      encoding.EncodeToString(own.PermutationSeed),
		Protocols: own.Protocols,
		Seqnum:    own.Seqnum,
		Service:   storageName,
		TubCert:   tubCert,
		TubSig:    tubSig,
	})
	if err != nil {
		return nil, fmt.Errorf("write announcement: %w", err)
	}
	placeSig, err := place.Sign(own.binding())
	if err != nil {
		return nil, fmt.Errorf("sign announcement: %w", err)
	}
	raw, err := envelope{
		msg:     string(msg),
		sig:     idPrefix + encoding.EncodeToString(ed25519.Sign(node, msg)),
		key:     own.ServerID(),
		binding: idPrefix + encoding.EncodeToString(placeSig),
	}.marshal()
	if err != nil {
		return nil, fmt.Errorf("write announcement: %w", err)
	}
	if _, err := Open(raw); err != nil {
		return nil, err
	}
	return raw, nil
}

// Open reads a signed announcement and verifies everything about it: both
// signatures, the tub id, each field, and that raw is the one text that Sign
// writes for it. Every error matches ErrBadAnnouncement.
func Open(raw []byte) (*Announcement, error) {
	if len(raw) > MaxSize {
		return nil, fmt.Errorf("%w: it has more than %d bytes", ErrBadAnnouncement, MaxSize)
	}
	e, err := parseEnvelope(raw)
	if err != nil {
		return nil, err
	}
	key, err := ParseServerID(e.key)
	if err != nil {
		return nil, err
	}
	if !verify(key, []byte(e.msg), e.sig) {
		return nil, fmt.Errorf("%w: the server's signature is wrong", ErrBadAnnouncement)
	}
	a, err := parseMessage([]byte(e.msg), key)
	if err != nil {
		return nil, err
	}
	if !verify(a.Address.PublicKey(), a.binding(), e.binding) {
		return nil, fmt.Errorf("%w: the address belongs to another; its signature is wrong", ErrBadAnnouncement)
	}
	return a, nil
}

func verify(key ed25519.PublicKey, msg []byte, text string) bool {
	text, ok := strings.CutPrefix(text, idPrefix)
	sig, good := decode32(text)
	return ok && good && len(sig) == ed25519.SignatureSize && ed25519.Verify(key, msg, sig)
}

func (e envelope) marshal() ([]byte, error) { return marshal([]string{e.msg, e.sig, e.key, e.binding}) }

func parseEnvelope(raw []byte) (envelope, error) {
	var parts []string
	if err := json.Unmarshal(raw, &parts); err != nil || len(parts) != 4 {
		return envelope{}, fmt.Errorf("%w: it is not a list of four strings", ErrBadAnnouncement)
	}
	e := envelope{parts[0], parts[1], parts[2], parts[3]}
	if again, err := e.marshal(); err != nil || !bytes.Equal(again, raw) {
		return envelope{}, fmt.Errorf("%w: it is written in another way than the one allowed", ErrBadAnnouncement)
	}
	return e, nil
}

func parseMessage(msg []byte, key ed25519.PublicKey) (*Announcement, error) {
	var m message
	if err := json.Unmarshal(msg, &m); err != nil {
		return nil, fmt.Errorf("%w: the message is not JSON of the right kind", ErrBadAnnouncement)
	}
	if m.Format != messageFormat || m.Service != storageName {
		return nil, fmt.Errorf("%w: it has a format or service that we do not know", ErrBadAnnouncement)
	}
	if again, err := marshal(m); err != nil || !bytes.Equal(again, msg) {
		return nil, fmt.Errorf("%w: the message holds something that is not allowed, or is written in another way", ErrBadAnnouncement)
	}
	a := &Announcement{ServerKey: key, Seqnum: m.Seqnum, Nickname: m.Nickname, Protocols: m.Protocols}
	err := a.setPlace(m.Address, m.FURL)
	if err != nil {
		return nil, err
	}
	if err := a.setDoor(m.NURLs); err != nil {
		return nil, err
	}
	seed, ok := decode32(m.Seed)
	if !ok {
		return nil, fmt.Errorf("%w: the permutation seed is not base32", ErrBadAnnouncement)
	}
	a.PermutationSeed = seed
	if a.Tub, err = parseTub(m.TubCert, m.TubSig); err != nil {
		return nil, err
	}
	return a, a.check()
}

// setPlace takes address, tub id and swissnum from the two texts that say
// where the server is; they must agree.
func (a *Announcement) setPlace(address, furl string) error {
	addr, err := onion.ParseAddr(address)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBadAnnouncement, err)
	}
	if addr.String() != address {
		return fmt.Errorf("%w: the address is not in lower case", ErrBadAnnouncement)
	}
	tub, hint, name, err := splitFURL(furl)
	if err != nil {
		return fmt.Errorf("%w: storage FURL: %w", ErrBadAnnouncement, err)
	}
	if hint != hintPrefix+addr.String() {
		return fmt.Errorf("%w: the storage FURL has another address", ErrBadAnnouncement)
	}
	if a.Swissnum, err = NewSwissnum(name); err != nil {
		return err
	}
	raw, _ := decode32(tub)
	a.Address, a.TubID = addr, [20]byte(raw)
	return nil
}

// setDoor takes the door from the one NURL of a signed announcement; it must
// agree with what setPlace took.
func (a *Announcement) setDoor(nurls []string) error {
	switch len(nurls) {
	case 0:
		return nil
	case 1:
	default:
		return fmt.Errorf("%w: it has more than one NURL", ErrBadAnnouncement)
	}
	n, err := ParseNURL(nurls[0])
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBadAnnouncement, err)
	}
	if n.swissnum.Reveal() != a.Swissnum.Reveal() {
		return fmt.Errorf("%w: NURL and storage FURL differ in the right that they give", ErrBadAnnouncement)
	}
	a.Door = &n.door
	return nil
}

// marshal writes JSON as the format has it: without space, and with <, > and
// & as themselves.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
