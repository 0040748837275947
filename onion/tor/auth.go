package tor

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
)

// A Password opens a control port that was given HashedControlPassword.
// Secret: no verb prints it.
type Password struct{ text string }

// NewPassword returns the password text.
func NewPassword(text string) *Password { return &Password{text: text} }

// Format prints [secret], whatever the verb.
func (*Password) Format(f fmt.State, _ rune) { io.WriteString(f, "[secret]") }

// LogValue logs [secret].
func (*Password) LogValue() slog.Value { return slog.StringValue("[secret]") }

var errUnverified = errors.New("this Tor cannot be verified: any local user may have opened that port. " +
	"Name it with control=ADDR if you trust it")

// authenticate opens the control port. A port that the user named, or a unix
// socket of a trusted owner, may let us in with nothing or with a password;
// any other must prove with SAFECOOKIE that it knows a cookie that only a
// trusted owner could have written.
func authenticate(c *controlConn, trusted bool, password *Password) error {
	lines, err := c.request("PROTOCOLINFO 1")
	if err != nil {
		return fmt.Errorf("ask Tor how to authenticate: %w", err)
	}
	methods, cookieFile := authMethods(lines)
	var cookieErr error
	if slices.Contains(methods, "SAFECOOKIE") {
		cookie, err := readCookie(cookieFile, !trusted)
		if err == nil {
			return safeCookie(c, cookie)
		}
		cookieErr = err
	}
	switch {
	case !trusted && cookieErr != nil:
		return cookieErr
	case !trusted:
		return errUnverified
	case slices.Contains(methods, "NULL"):
		return sendAuthenticate(c, nil)
	case slices.Contains(methods, "HASHEDPASSWORD") && password != nil:
		return sendAuthenticate(c, []byte(password.text))
	case cookieErr != nil:
		return cookieErr
	case slices.Contains(methods, "HASHEDPASSWORD"):
		return errors.New("this Tor's control port asks for a password, and none was given")
	}
	return errors.New("this Tor's control port offers no way to authenticate that lafs knows")
}

func authMethods(lines []string) (methods []string, cookieFile string) {
	for _, line := range lines {
		f := fields(line)
		if len(f) > 0 && f[0] == "AUTH" {
			return strings.Split(keyword(f, "METHODS"), ","), keyword(f, "COOKIEFILE")
		}
	}
	return nil, ""
}

// The keys of SAFECOOKIE's two hashes (Tor's control-spec, AUTHCHALLENGE).
const (
	serverHashKey = "Tor safe cookie authentication server-to-controller hash"
	clientHashKey = "Tor safe cookie authentication controller-to-server hash"
)

// safeCookie lets Tor prove that it knows the cookie before we prove it.
func safeCookie(c *controlConn, cookie []byte) error {
	var nonce [32]byte
	rand.Read(nonce[:])
	lines, err := c.request("AUTHCHALLENGE SAFECOOKIE " + hex.EncodeToString(nonce[:]))
	if err != nil {
		return fmt.Errorf("challenge Tor: %w", err)
	}
	answer := fields(lines[len(lines)-1])
	theirs, err1 := hex.DecodeString(keyword(answer, "SERVERHASH"))
	serverNonce, err2 := hex.DecodeString(keyword(answer, "SERVERNONCE"))
	if err1 != nil || err2 != nil || len(theirs) != sha256.Size || len(serverNonce) != 32 {
		return errors.New("challenge Tor: the answer makes no sense")
	}
	hash := func(key string) []byte {
		h := hmac.New(sha256.New, []byte(key))
		h.Write(cookie)
		h.Write(nonce[:])
		h.Write(serverNonce)
		return h.Sum(nil)
	}
	if !hmac.Equal(theirs, hash(serverHashKey)) {
		return fmt.Errorf("what answers there does not know Tor's cookie: %w", errUnverified)
	}
	return sendAuthenticate(c, hash(clientHashKey))
}

func sendAuthenticate(c *controlConn, proof []byte) error {
	line := "AUTHENTICATE"
	if len(proof) > 0 {
		line += " " + hex.EncodeToString(proof)
	}
	if _, err := c.request(line); err != nil {
		return fmt.Errorf("authenticate at Tor: %w", err)
	}
	c.trust()
	return nil
}
