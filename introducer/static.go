package introducer

import "fmt"

// Static returns the server that an entry of private/servers.yaml names: its
// id, and the dictionary "ann" as the YAML reader gives it, with the keys of
// an announcement's message (FORMATS.md section 11). Nothing in it is signed:
// the user vouches for it, and Static is set. Sequence number, format and the
// keys of Tahoe's that we have no use for are ignored; protocols default to
// GBS and the seed to Tahoe's own default.
func Static(serverID string, ann map[string]any) (*Announcement, error) {
	key, err := ParseServerID(serverID)
	if err != nil {
		return nil, err
	}
	if name, ok := ann["service-name"]; ok && name != storageName {
		return nil, fmt.Errorf("%w: its service-name is not %s", ErrBadAnnouncement, storageName)
	}
	a := &Announcement{ServerKey: key, Seqnum: 1, Static: true}
	var address, furl, seed, tubCert, tubSig string
	for _, f := range []struct {
		key string
		to  *string
	}{{"address", &address}, {"anonymous-storage-FURL", &furl}, {"permutation-seed-base32", &seed}, {"nickname", &a.Nickname},
		{"tub-certificate", &tubCert}, {"tub-signature", &tubSig}} {
		if v, ok := ann[f.key]; ok {
			if *f.to, ok = v.(string); !ok {
				return nil, fmt.Errorf("%w: %s is not text", ErrBadAnnouncement, f.key)
			}
		}
	}
	if err := a.setStaticPlace(address, furl, ann["anonymous-storage-NURLs"]); err != nil {
		return nil, err
	}
	a.PermutationSeed = DefaultPermutationSeed(key)
	if seed != "" {
		raw, ok := decode32(seed)
		if !ok {
			return nil, fmt.Errorf("%w: the permutation seed is not base32", ErrBadAnnouncement)
		}
		a.PermutationSeed = raw
	}
	if a.Protocols, err = staticProtocols(ann["protocols"]); err != nil {
		return nil, err
	}
	if a.Tub, err = parseTub(tubCert, tubSig); err != nil {
		return nil, err
	}
	if err := a.check(); err != nil {
		return nil, err
	}
	return a, nil
}

// maxNURLs bounds the list of an entry: one for each hint of a FURL.
const maxNURLs = 64

func (a *Announcement) setStaticPlace(address, furl string, nurls any) error {
	door, err := tahoeDoor(nurls)
	if address != "" {
		if err := a.setPlace(address, furl); err != nil {
			return err
		}
		// The door of a server of ours is for others.
		if err == nil && a.besides(door.door.Address) {
			a.Door = &door.door
		}
		return nil
	}
	if err != nil {
		return err
	}
	tub, _, _, err := splitFURL(furl)
	if err != nil {
		return fmt.Errorf("%w: its anonymous-storage-FURL, which names the tub id: %w", ErrBadAnnouncement, err)
	}
	raw, _ := decode32(tub)
	a.TubID, a.Swissnum, a.Door = [20]byte(raw), door.swissnum, &door.door
	return nil
}

// tahoeDoor returns the first NURL of the list that leads to an onion
// service.
func tahoeDoor(v any) (*NURL, error) {
	list, ok := v.([]any)
	if v != nil && !ok || len(list) > maxNURLs {
		return nil, fmt.Errorf("%w: anonymous-storage-NURLs is not a short list", ErrBadAnnouncement)
	}
	err := fmt.Errorf("%w: it has neither an address of lafs's own nor a NURL, so that only Foolscap would reach it, which lafs does not speak", ErrBadAnnouncement)
	for _, e := range list {
		text, ok := e.(string)
		if !ok {
			return nil, fmt.Errorf("%w: a NURL is not text", ErrBadAnnouncement)
		}
		n, bad := ParseNURL(text)
		if bad == nil {
			return n, nil
		}
		err = fmt.Errorf("%w: %w", ErrBadAnnouncement, bad)
	}
	return nil, err
}

func staticProtocols(v any) ([]int, error) {
	if v == nil {
		return []int{ProtocolGBS}, nil
	}
	list, ok := v.([]any)
	if !ok || len(list) > maxProtocols {
		return nil, fmt.Errorf("%w: protocols is not a short list", ErrBadAnnouncement)
	}
	var out []int
	for _, e := range list {
		n, ok := e.(int)
		if !ok {
			return nil, fmt.Errorf("%w: a protocol is not a number", ErrBadAnnouncement)
		}
		out = append(out, n)
	}
	return out, nil
}
