package tornet

import (
	"context"
	"errors"
	"fmt"
)

// Throttle bounds what a client tor carries each way to rate bytes a second,
// from now on, and its services with it; 0 takes the bound away. It is how
// tests and benchmarks get a slow server.
func (n *Net) Throttle(ctx context.Context, tor ClientTor, rate int64) error {
	c, err := n.find(tor)
	if err != nil {
		return err
	}
	if rate < 0 {
		return errors.New("the rate is negative")
	}
	conn, err := dialControl(ctx, controlPath(n.cfg.Dir, c.name))
	if err != nil {
		return err
	}
	defer conn.close()
	command := "RESETCONF BandwidthRate BandwidthBurst"
	if rate > 0 {
		command = fmt.Sprintf("SETCONF BandwidthRate=%d BandwidthBurst=%d", rate, rate)
	}
	_, err = conn.ask(command)
	return err
}
