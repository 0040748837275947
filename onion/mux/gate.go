package mux

import (
	"bytes"
	"errors"
	"net/http"
	"strconv"
	"strings"
)

// maxGated bounds the header of an answer, whose parts are ours: far above
// any.
const maxGated = 64 << 10

// A gate lets through one answer's bytes, with the headers of the fixed list
// and no others. The handler's answers have no others, but net/http answers
// by itself what it cannot read, and adds Connection, and a Date to some:
// bytes that tell a peer whose program and which clock it meets.
type gate struct {
	head []byte // of an answer whose header is not whole yet
	open bool   // the header is through
	shut bool   // nothing may follow it
}

// pass takes the next bytes of an answer and returns those that go on the
// wire.
func (g *gate) pass(p []byte) ([]byte, error) {
	if g.shut {
		return nil, nil
	}
	if g.open {
		return p, nil
	}
	g.head = append(g.head, p...)
	for {
		head, rest, whole := bytes.Cut(g.head, []byte("\r\n\r\n"))
		if !whole {
			if len(g.head) > maxGated {
				return nil, errors.New("the header of an answer has no end")
			}
			return nil, nil
		}
		lines := strings.Split(string(head), "\r\n")
		code := statusCode(lines[0])
		if code < 200 {
			// Informational answers are not part of our protocol.
			g.head = rest
			continue
		}
		g.head, g.open = nil, true
		kept, length := keep(lines[1:])
		if !length && strings.HasPrefix(lines[0], "HTTP/1.1 ") && hasBody(code) {
			// net/http's own words, whose end is that of the stream.
			g.shut = true
			return []byte("HTTP/1.1 " + strconv.Itoa(code) + " " + http.StatusText(code) + "\r\nContent-Length: 0\r\n\r\n"), nil
		}
		return append([]byte(lines[0]+"\r\n"+kept+"\r\n"), rest...), nil
	}
}

// keep returns the headers that travel, and whether they tell where the body
// ends.
func keep(lines []string) (kept string, length bool) {
	for _, line := range lines {
		switch name, _, _ := strings.Cut(line, ":"); name {
		case "Content-Length", "Transfer-Encoding":
			length = true
		case "Content-Location", "Content-Range", "Content-Type":
		default:
			continue
		}
		kept += line + "\r\n"
	}
	return kept, length
}

// statusCode reads "HTTP/1.1 200 OK".
func statusCode(line string) int {
	f := strings.SplitN(line, " ", 3)
	if len(f) < 2 {
		return http.StatusInternalServerError
	}
	code, err := strconv.Atoi(f[1])
	if err != nil {
		return http.StatusInternalServerError
	}
	return code
}

func hasBody(code int) bool { return code != http.StatusNoContent && code != http.StatusNotModified }
