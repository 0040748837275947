package tornet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
)

// result is what a supervisor says once, when its network stands or not.
type result struct {
	Error string `json:"error,omitempty"`
}

// Up starts a network that outlives the caller, and returns when it is ready.
// command is the argv of a program that calls Supervise: it owns the tors and
// the delay line, and they end with it. When ctx ends, or the caller dies,
// before Up returns, the network ends too and leaves no file.
func Up(ctx context.Context, cfg Config, command []string) (*Record, error) {
	cfg, err := cfg.checked()
	if err != nil {
		return nil, err
	}
	// The supervisor has another working directory.
	if cfg.Executable, err = findTor(cfg.Executable); err != nil {
		return nil, err
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.SysProcAttr = detachedAttr()
	cmd.Dir = "/" // keeps no directory of the caller's in use
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the supervisor: %w", err)
	}
	// The supervisor takes the end of its input for the caller's end.
	stop := context.AfterFunc(ctx, func() { in.Close() })
	if err := agree(cfg, in, out); err != nil {
		stop()
		in.Close()
		_ = cmd.Wait() // the supervisor's error is in err
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, err
	}
	stop()
	in.Close()
	out.Close()
	return ReadRecord(cfg.Dir)
}

// agree hands cfg to the supervisor, waits for its result and lets it stay.
func agree(cfg Config, in io.Writer, out io.Reader) error {
	enc := json.NewEncoder(in)
	if err := enc.Encode(cfg); err != nil {
		return fmt.Errorf("tell the supervisor what to start: %w", err)
	}
	var r result
	if err := json.NewDecoder(out).Decode(&r); err != nil {
		return fmt.Errorf("the supervisor ended before the network was ready: %w", err)
	}
	if r.Error != "" {
		return errors.New(r.Error)
	}
	return enc.Encode(true)
}

// lookInterval is how often a supervisor looks whether its network's
// directory is still there: nobody could end it otherwise.
const lookInterval = 2 * time.Second

// Supervise is the other side of Up: it reads from in what to start, starts
// it, says so on out, and keeps it until ctx ends. It also ends the network
// when in ends early or the network's net.json is removed.
func Supervise(ctx context.Context, in io.Reader, out io.Writer) error {
	signal.Ignore(syscall.SIGPIPE, syscall.SIGHUP) // the caller and its terminal may go at any moment
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	dec := json.NewDecoder(in)
	var cfg Config
	if err := dec.Decode(&cfg); err != nil {
		return fmt.Errorf("read what to start: %w", err)
	}
	stay := make(chan struct{})
	go func() { // ends with in, at the latest with the caller
		var ok bool
		if err := dec.Decode(&ok); err != nil || !ok {
			cancel()
			return
		}
		close(stay)
	}()
	n, err := start(ctx, cfg, true)
	if err != nil {
		return errors.Join(err, json.NewEncoder(out).Encode(result{Error: err.Error()}))
	}
	if err := json.NewEncoder(out).Encode(result{}); err != nil {
		return errors.Join(err, n.Close())
	}
	select {
	case <-stay:
		keep(ctx, cfg.Dir)
	case <-ctx.Done():
	}
	return n.Close()
}

// keep returns when ctx ends or the network in dir has lost its record.
func keep(ctx context.Context, dir string) {
	tick := time.NewTicker(lookInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if r, err := ReadRecord(dir); err != nil || r.Owner.PID != os.Getpid() {
				return
			}
		}
	}
}
