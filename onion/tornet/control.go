package tornet

import (
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

// ask sends one line and returns the text of a 250 reply, one or more lines.
func (c *control) ask(line string) (string, error) {
	if err := c.conn.SetDeadline(time.Now().Add(controlTimeout)); err != nil {
		return "", err
	}
	if err := c.text.PrintfLine("%s", line); err != nil {
		return "", err
	}
	_, msg, err := c.text.ReadResponse(250)
	return msg, err
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

func (c *control) close() { c.text.Close() }
