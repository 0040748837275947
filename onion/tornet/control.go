package tornet

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"time"
)

const controlTimeout = 10 * time.Second // a loaded tor answers late, a dead one never

// control is a connection to a tor's control socket, for the few questions
// that this package asks. Not for concurrent use.
type control struct {
	conn net.Conn
	text *textproto.Conn
}

func dialControl(ctx context.Context, path string) (*control, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	c := &control{conn: conn, text: textproto.NewConn(conn)}
	if _, err := c.ask("AUTHENTICATE"); err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

// NewCircuits lets what a tor's users ask for from now on have circuits of
// its own; addr is the control socket, as in ClientTor. In so small a network
// a service may find no path for its answer, and the client's circuit waits
// for it, with all that it is asked for meanwhile.
func NewCircuits(ctx context.Context, addr string) error {
	c, err := dialControl(ctx, strings.TrimPrefix(addr, "unix:"))
	if err != nil {
		return fmt.Errorf("ask tor for new circuits: %w", err)
	}
	defer c.conn.Close()
	if _, err := c.ask("SIGNAL NEWNYM"); err != nil {
		return fmt.Errorf("ask tor for new circuits: %w", err)
	}
	return nil
}

// ask sends one line and returns the text of a 250 reply, one or more lines.
func (c *control) ask(line string) (string, error) {
	if err := c.send(line); err != nil {
		return "", err
	}
	_, msg, err := c.text.ReadResponse(250)
	return msg, err
}

// send sends one line, and gives tor the usual time for the reply.
func (c *control) send(line string) error {
	if err := c.conn.SetDeadline(time.Now().Add(controlTimeout)); err != nil {
		return err
	}
	return c.text.PrintfLine("%s", line)
}

func (c *control) getInfo(key string) (string, error) {
	msg, err := c.ask("GETINFO " + key)
	if err != nil {
		return "", err
	}
	first, _, _ := strings.Cut(msg, "\n")
	value, ok := strings.CutPrefix(first, key+"=")
	if !ok {
		return "", fmt.Errorf("tor answered another question than %s", key)
	}
	return value, nil
}

func (c *control) pid() (int, error) {
	s, err := c.getInfo("process/pid")
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(s)
}

// bootstrap returns how far tor's start has come, in percent.
func (c *control) bootstrap() (int, error) {
	s, err := c.getInfo("status/bootstrap-phase")
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(s, "PROGRESS=")
	num, _, _ := strings.Cut(rest, " ")
	return strconv.Atoi(num)
}

// descriptors returns how many relays an authority has descriptors of.
func (c *control) descriptors() (int, error) {
	if err := c.send("GETINFO desc/all-recent"); err != nil {
		return 0, err
	}
	line, err := c.text.ReadLine()
	if err != nil {
		return 0, err
	}
	var known int
	switch line {
	case "250-desc/all-recent=": // none yet
	case "250+desc/all-recent=":
		data, err := c.text.ReadDotBytes()
		if err != nil {
			return 0, err
		}
		known = bytes.Count(data, []byte("\nrouter ")) + 1 // the first begins the data
	default:
		return 0, fmt.Errorf("tor refuses: %.80s", line)
	}
	_, _, err = c.text.ReadResponse(250)
	return known, err
}

func (c *control) close() { c.text.Close() }
