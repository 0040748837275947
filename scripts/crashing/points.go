package main

import (
	"context"
	crand "crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"

	"lafs/node/store"
	"lafs/shares/caps"
	"lafs/shares/mutable"
	"lafs/shares/storage"
)

// A PointSum is what Points did.
type PointSum struct{ Calls, Points, Images int }

func (p PointSum) String() string {
	return fmt.Sprintf("%d system calls recorded, power lost at %d of them, %d different disks left, all there and right", p.Calls, p.Points, p.Images)
}

// script is what a recorded run does, round by round.
func script(key *mutable.Key) []*progress {
	var out []*progress
	for i := range uint64(3) {
		out = append(out, &progress{object: newBucket(i, false)})
	}
	for i := range uint64(2) {
		out = append(out, &progress{object: newSlot(i, key, 7)}, &progress{object: newPlain(i, 7)})
	}
	return append(out, &progress{object: newCrowd()})
}

const (
	// keyFile and recorded are in the directory of a recorded run: the key of
	// its slots, and what is recorded.
	keyFile  = "key"
	recorded = "disk"
)

func readKey(dir string) (*mutable.Key, error) {
	b, err := os.ReadFile(filepath.Join(dir, keyFile))
	if err != nil {
		return nil, err
	}
	return mutable.ParsePEM(b)
}

// newKey makes a key that two processes know.
func newKey(dir string) (*mutable.Key, error) {
	private, err := rsa.GenerateKey(crand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err := os.WriteFile(filepath.Join(dir, keyFile), text, 0o600); err != nil {
		return nil, err
	}
	return mutable.ParsePEM(text)
}

// perform is the run that is recorded. It says what it begins and what it
// has been acknowledged.
func perform(dir string) error {
	key, err := readKey(dir)
	if err != nil {
		return err
	}
	ctx := context.Background()
	cfg := config(filepath.Join(dir, recorded))
	s, err := store.Open(cfg)
	if err != nil {
		return err
	}
	objects := script(key)
	for round := 0; ; round++ {
		if round == 3 {
			if err := s.Close(); err != nil {
				return err
			}
			if s, err = store.Open(cfg); err != nil {
				return err
			}
		}
		left := false
		for i, p := range objects {
			if p.done == p.steps() {
				continue
			}
			left = true
			fmt.Printf("begin %d\n", i)
			if err := p.next(ctx, localServer{s}); err != nil {
				return err
			}
			fmt.Printf("done %d\n", i)
		}
		if !left {
			return s.Close()
		}
	}
}

// Points records a run and loses the power at so many of its system calls;
// below 0: at all.
func Points(ctx context.Context, points int, seed uint64) (PointSum, error) {
	var sum PointSum
	dir, err := os.MkdirTemp(memory(), "lafs-crash-")
	if err != nil {
		return sum, err
	}
	defer os.RemoveAll(dir)
	key, err := newKey(dir)
	if err != nil {
		return sum, err
	}
	if err := os.Mkdir(filepath.Join(dir, recorded), 0o700); err != nil {
		return sum, err
	}
	self, err := os.Executable()
	if err != nil {
		return sum, err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childEnv+"=record:"+dir)
	cmd.Stderr = os.Stderr
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return sum, err
	}
	defer null.Close()
	cmd.Stdout = null
	events, err := record(cmd, filepath.Join(dir, recorded))
	if err != nil {
		return sum, err
	}
	sum.Calls = len(events)
	if points < 0 || points > len(events) {
		points = len(events)
	}
	r := &replay{dir: dir, key: key, disk: newDisk(), seen: map[string]bool{}, rng: rand.New(rand.NewPCG(seed, 2))}
	sum.Points = points
	err = r.all(ctx, events, points)
	sum.Images = r.images
	return sum, err
}

// memory is a directory where a sync costs nothing; "": there is none.
func memory() string {
	const shm = "/dev/shm"
	if info, err := os.Stat(shm); err != nil || !info.IsDir() {
		return ""
	}
	return shm
}

// A replay does again what was recorded.
type replay struct {
	dir    string
	key    *mutable.Key
	disk   *disk
	rng    *rand.Rand
	seen   map[string]bool
	images int

	done, begun [16]int // by object
}

// all tries points of the events, spread over them evenly, and the last.
func (r *replay) all(ctx context.Context, events []event, points int) error {
	at, ctx := errgroup.WithContext(ctx)
	at.SetLimit(4)
	for i, ev := range events {
		if err := r.disk.do(ev); err != nil {
			return errors.Join(fmt.Errorf("replay system call %d: %w", i, err), at.Wait())
		}
		if ev.what == evSay {
			r.said(string(ev.data))
		}
		if (i+1)*points/len(events) == i*points/len(events) {
			continue
		}
		for _, rng := range []*rand.Rand{nil, r.rng} {
			left := r.disk.left(rng)
			id := fmt.Sprint(left.sum(), r.done, r.begun)
			if r.seen[id] {
				continue
			}
			r.seen[id] = true
			r.images++
			n, done, begun := r.images, r.done, r.begun
			at.Go(func() error {
				if err := r.check(ctx, left, n, done, begun); err != nil {
					return fmt.Errorf("after system call %d of %d (some of what was not synced is left: %v): %w", i, len(events), rng != nil, err)
				}
				return nil
			})
		}
	}
	return at.Wait()
}

// said takes in what the run wrote.
func (r *replay) said(text string) {
	for line := range strings.Lines(text) {
		var i int
		if n, _ := fmt.Sscanf(line, "begin %d", &i); n == 1 {
			r.begun[i]++
		} else if n, _ := fmt.Sscanf(line, "done %d", &i); n == 1 {
			r.done[i]++
		}
	}
}

// check starts a store on what is left, and looks at everything, and once
// more after another start.
func (r *replay) check(ctx context.Context, left image, n int, done, begun [16]int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	dir := filepath.Join(r.dir, fmt.Sprint("left-", n))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := left.write(dir); err != nil {
		return err
	}
	for range 2 {
		if err := r.look(ctx, dir, done, begun); err != nil {
			return err
		}
	}
	return nil
}

func (r *replay) look(ctx context.Context, dir string, done, begun [16]int) error {
	s, err := store.Open(config(dir))
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	for i, p := range script(r.key) {
		if err := p.check(ctx, localServer{s}, done[i], begun[i]); err != nil {
			return errors.Join(fmt.Errorf("%T %d after %d steps, %d begun: %w", p.object, i, done[i], begun[i], err), s.Close())
		}
	}
	var shares int64
	for _, p := range script(r.key) {
		var si caps.StorageIndex
		switch o := p.object.(type) {
		case *bucket:
			si = o.si
		case *crowd:
			si = o.si
		}
		if si != (caps.StorageIndex{}) {
			held, err := s.Shares(ctx, storage.Immutable, si)
			if err != nil {
				return errors.Join(err, s.Close())
			}
			shares += int64(len(held))
		}
	}
	if st, err := s.Stats(); err != nil || st.Shares < shares || st.StateLost {
		return errors.Join(fmt.Errorf("the store counts %+v, and %d immutable shares are there, %w", st, shares, err), s.Close())
	}
	return s.Close()
}
