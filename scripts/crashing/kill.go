package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"lafs/shares/mutable"
)

// How much is going on at once, and how many of the older buckets are looked
// at after each kill; at the end all are.
const (
	killSlots   = 3
	killPlain   = 3
	killBuckets = 6
	killSample  = 150

	endless = 1 << 30
	// longestRun bounds the time from a start to its kill.
	longestRun = 400 * time.Millisecond
	// cleanEvery is how many runs end with SIGTERM: one in so many.
	cleanEvery = 8
)

// A KillSum is what Kill did.
type KillSum struct{ Kills, Stops, Buckets, Steps int }

func (k KillSum) String() string {
	return fmt.Sprintf("%d kill -9 and %d clean stops, %d acknowledged steps on %d buckets and %d slots, all there and right",
		k.Kills, k.Stops, k.Steps, k.Buckets, killSlots+killPlain)
}

// A killing is one call of Kill.
type killing struct {
	dir     string
	rng     *rand.Rand
	lasting []*progress // slots
	current []*progress // buckets under way
	old     []*progress // buckets that all steps were done on
	buckets uint64
}

// Kill runs a server under load and kills it so many times.
func Kill(ctx context.Context, kills int, seed uint64) (KillSum, error) {
	dir, err := os.MkdirTemp("", "lafs-crash-")
	if err != nil {
		return KillSum{}, err
	}
	defer os.RemoveAll(dir)
	key, err := mutable.GenerateKey()
	if err != nil {
		return KillSum{}, err
	}
	k := &killing{dir: dir, rng: rand.New(rand.NewPCG(seed, 1))}
	for i := range uint64(killSlots) {
		k.lasting = append(k.lasting, &progress{object: newSlot(i, key, endless)})
	}
	for i := range uint64(killPlain) {
		k.lasting = append(k.lasting, &progress{object: newPlain(i, endless)})
	}
	for range killBuckets {
		k.current = append(k.current, k.bucket())
	}
	var sum KillSum
	for sum.Kills < kills {
		clean := k.rng.IntN(cleanEvery) == 0
		if err := k.run(ctx, clean); err != nil {
			return sum, fmt.Errorf("after %d kills: %w", sum.Kills, err)
		}
		if clean {
			sum.Stops++
		} else {
			sum.Kills++
		}
	}
	for _, p := range append(append(append([]*progress{}, k.lasting...), k.current...), k.old...) {
		sum.Steps += p.done
	}
	sum.Buckets = len(k.old) + len(k.current)
	return sum, k.last(ctx)
}

func (k *killing) bucket() *progress {
	k.buckets++
	return &progress{object: newBucket(k.buckets, true)}
}

// run is one life of the server.
func (k *killing) run(ctx context.Context, clean bool) error {
	p, err := start(ctx, k.dir)
	if err != nil {
		return err
	}
	defer p.kill()
	s := connect(k.dir)
	if err := k.verify(ctx, s, killSample); err != nil {
		return err
	}
	var ended atomic.Bool
	var wg sync.WaitGroup
	var mu sync.Mutex
	var bad error
	work := func(step func() error) {
		wg.Go(func() {
			for {
				if err := step(); err != nil {
					mu.Lock()
					defer mu.Unlock()
					if !ended.Load() {
						bad = errors.Join(bad, err)
					}
					return
				}
			}
		})
	}
	for _, o := range k.lasting {
		work(func() error { return o.next(ctx, s) })
	}
	for i := range k.current {
		work(func() error {
			o := k.current[i]
			if o.done == o.steps() {
				mu.Lock()
				k.old = append(k.old, o)
				k.current[i] = k.bucket()
				o = k.current[i]
				mu.Unlock()
			}
			return o.next(ctx, s)
		})
	}
	wait := time.NewTimer(time.Duration(k.rng.Int64N(int64(longestRun))))
	defer wait.Stop()
	select {
	case <-ctx.Done():
	case <-wait.C:
	}
	ended.Store(true)
	if clean {
		err = p.stop()
	} else {
		p.kill()
	}
	// A load that waits for nobody would not end.
	wg.Wait()
	return errors.Join(ctx.Err(), err, bad)
}

// verify compares all slots, the buckets under way, and some of the others.
func (k *killing) verify(ctx context.Context, s server, sample int) error {
	check := append(append([]*progress{}, k.lasting...), k.current...)
	for i, n := range k.rng.Perm(len(k.old)) {
		if i < sample {
			check = append(check, k.old[n])
		}
	}
	for _, p := range check {
		if err := p.verify(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// last looks at everything.
func (k *killing) last(ctx context.Context) error {
	p, err := start(ctx, k.dir)
	if err != nil {
		return err
	}
	defer p.kill()
	if err := k.verify(ctx, connect(k.dir), len(k.old)); err != nil {
		return err
	}
	return p.stop()
}

// A process is a server that runs.
type process struct {
	cmd  *exec.Cmd
	once sync.Once
	err  error
}

// start returns when the server answers.
func start(ctx context.Context, dir string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), childEnv+"=serve:"+dir)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		p.kill()
		return nil, fmt.Errorf("the server did not start: %q, %w", line, err)
	}
	return p, nil
}

func (p *process) wait() error {
	p.once.Do(func() { p.err = p.cmd.Wait() })
	return p.err
}

func (p *process) kill() {
	p.cmd.Process.Kill()
	p.wait()
}

func (p *process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := p.wait(); err != nil {
		return fmt.Errorf("stop the server: %w", err)
	}
	return nil
}
