package tor

import (
	"regexp"
	"strings"
)

// fields splits a line of the control protocol at its spaces. What stands in
// double quotes is kept together and unquoted, backslashes undone; so
// `A SUMMARY="in two words"` has two fields.
func fields(s string) []string {
	var out []string
	var b strings.Builder
	in, quoted := false, false
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case quoted && c == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case c == '"':
			quoted, in = !quoted, true
		case c == ' ' && !quoted:
			if in {
				out = append(out, b.String())
			}
			b.Reset()
			in = false
		default:
			b.WriteByte(c)
			in = true
		}
	}
	if in {
		out = append(out, b.String())
	}
	return out
}

// keyword returns the value of the first field "name=value".
func keyword(fields []string, name string) string {
	for _, f := range fields {
		if value, ok := strings.CutPrefix(f, name+"="); ok {
			return value
		}
	}
	return ""
}

// secretLike finds what may be a key, a cookie or an onion address.
var secretLike = regexp.MustCompile(`[A-Za-z0-9+/]{40,}=*`)

// scrub takes out of Tor's words what may be a secret or an address.
func scrub(s string) string { return secretLike.ReplaceAllString(s, "[scrubbed]") }
