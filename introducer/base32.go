package introducer

import "encoding/base32"

// encoding is Tahoe's base32 (FORMATS.md section 1).
var encoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// decode32 reads base32 as strictly as Tahoe does: one text for one value.
func decode32(s string) ([]byte, bool) {
	raw, err := encoding.DecodeString(s)
	if err != nil || encoding.EncodeToString(raw) != s {
		return nil, false
	}
	return raw, true
}
