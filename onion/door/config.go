package door

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
)

// settings are those that both sides have. They are fixed, so that a newer
// compiler does not change what we look like from one release to the next.
func settings() *tls.Config {
	return &tls.Config{
		MinVersion:       tls.VersionTLS13,
		MaxVersion:       tls.VersionTLS13,
		CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256},
		// A ticket would show that two circuits belong to one client.
		SessionTicketsDisabled: true,
		// A log of keys is a file that opens every recorded circuit.
		KeyLogWriter: nil,
	}
}

// serverSettings are for a listener that shows id.
func serverSettings(id *Identity) *tls.Config {
	c := settings()
	c.Certificates = []tls.Certificate{id.cert}
	return c
}

// errWrongKey is a server that shows another key than the one named.
var errWrongKey = errors.New("the onion service showed another TLS key than the one that its NURL names")

// errNoTLS is a server with which there was no handshake.
var errNoTLS = errors.New("it does not speak TLS as a Tahoe-LAFS storage server does")

// clientSettings accept a server by its key alone: names and dates say
// nothing, and nobody else signs.
func clientSettings(matches func(*x509.Certificate) bool) *tls.Config {
	c := settings()
	// VerifyConnection does what is to be done; the handshake has proved
	// that the peer holds the key.
	c.InsecureSkipVerify = true
	c.VerifyConnection = func(s tls.ConnectionState) error {
		if len(s.PeerCertificates) == 0 || !matches(s.PeerCertificates[0]) {
			return errWrongKey
		}
		return nil
	}
	return c
}
