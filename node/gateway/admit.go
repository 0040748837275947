package gateway

import (
	"net/http"
	"slices"
)

// policy lets a page that the gateway serves, which may be anybody's file,
// run no script, load nothing from elsewhere (which would show the reader's
// own IP address), and be framed by nobody. Since that does not keep it from
// opening connections, browsers get the text of such a page: see active.
const policy = "sandbox; default-src 'none'; img-src 'self' data:; media-src 'self' data:; " +
	"style-src 'unsafe-inline'; font-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"

// setHeaders sets what every answer carries.
func setHeaders(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Frame-Options", "DENY")
	// A page may not make the browser look names up in the clear.
	h.Set("X-DNS-Prefetch-Control", "off")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// admit refuses what a web page of another origin, or a name that somebody
// points at this machine, would send.
func (g *gateway) admit(r *http.Request) error {
	if !slices.Contains(g.cfg.Hosts, r.Host) {
		return refuse(http.StatusForbidden, "this node is not called by that name")
	}
	for _, origin := range r.Header.Values("Origin") {
		if origin != "http://"+r.Host {
			return refuse(http.StatusForbidden, "a web page of another origin may not ask this node")
		}
	}
	for _, site := range r.Header.Values("Sec-Fetch-Site") {
		if site != "same-origin" && site != "none" {
			return refuse(http.StatusForbidden, "a web page of another origin may not ask this node")
		}
	}
	return nil
}
