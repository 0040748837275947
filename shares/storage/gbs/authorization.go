package gbs

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"

	"lafs/shares/storage"
)

const (
	headerSecrets = "X-Tahoe-Authorization"
	schemeTahoe   = "Tahoe-LAFS "
)

// swissnumOf reads the Authorization header.
func swissnumOf(h http.Header) ([]byte, bool) {
	values := h.Values("Authorization")
	if len(values) != 1 {
		return nil, false
	}
	text, ok := strings.CutPrefix(values[0], schemeTahoe)
	if !ok {
		return nil, false
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	return raw, err == nil
}

func setSwissnum(h http.Header, sw *storage.Swissnum) {
	h.Set("Authorization", schemeTahoe+base64.StdEncoding.EncodeToString([]byte(sw.Reveal())))
}

// A secrets holds what the request carries, by kind; nothing prints it.
type secrets struct{ byKind map[string][]byte }

// secretsOf reads exactly the kinds that the request needs.
func secretsOf(h http.Header, kinds []string) (*secrets, bool) {
	lines := h.Values(headerSecrets)
	if len(lines) != len(kinds) {
		return nil, false
	}
	out := &secrets{map[string][]byte{}}
	for _, line := range lines {
		kind, text, ok := strings.Cut(line, " ")
		raw, err := base64.StdEncoding.Strict().DecodeString(text)
		if !ok || err != nil || !slices.Contains(kinds, kind) || out.byKind[kind] != nil || !validLength(kind, len(raw)) {
			return nil, false
		}
		out.byKind[kind] = raw
	}
	return out, true
}

func validLength(kind string, n int) bool {
	if kind == uploadSecret {
		return n >= 1 && n <= 256
	}
	return n == 32
}

func (s *secrets) upload() *storage.UploadSecret {
	return storage.NewUploadSecret(s.byKind[uploadSecret])
}

func (s *secrets) enabler() *storage.WriteEnabler {
	e := storage.WriteEnabler(s.byKind[enablerSecret])
	return &e
}

func (s *secrets) lease() *storage.LeaseSecrets {
	return &storage.LeaseSecrets{Renew: [32]byte(s.byKind[renewSecret]), Cancel: [32]byte(s.byKind[cancelSecret])}
}

// set writes the secrets into a request, in the order of kinds.
func (s *secrets) set(h http.Header, kinds []string) {
	for _, kind := range kinds {
		h.Add(headerSecrets, kind+" "+base64.StdEncoding.EncodeToString(s.byKind[kind]))
	}
}

func secretsFor(upload *storage.UploadSecret, lease *storage.LeaseSecrets) *secrets {
	out := &secrets{map[string][]byte{}}
	if upload != nil {
		out.byKind[uploadSecret] = upload.Bytes()
	}
	if lease != nil {
		out.byKind[renewSecret], out.byKind[cancelSecret] = lease.Renew[:], lease.Cancel[:]
	}
	return out
}
