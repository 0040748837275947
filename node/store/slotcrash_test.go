package store_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"lafs/node/store"
	"lafs/shares/agree"
	"lafs/shares/caps"
	"lafs/shares/hashes"
	"lafs/shares/mutable"
	"lafs/shares/storage"
)

// crashSlots is crashDir for steps on slots.
const crashSlots = "LAFS_TEST_CRASH_SLOTS"

// A promise is what a client was told of one slot.
type promise struct {
	fingerprint hashes.Hash
	seq         uint64 // of the newest version acknowledged
	promised    uint64 // N of the highest ballot
	counter     int    // of the plain slot that goes with it
}

func slotIndex(run, i uint64) caps.StorageIndex {
	return caps.StorageIndex{'s', byte(run), byte(run >> 8), byte(i)}
}

func plainIndex(run, i uint64) caps.StorageIndex {
	return caps.StorageIndex{'p', byte(run), byte(run >> 8), byte(i)}
}

// loadSlots changes slots until it is killed, and prints what was
// acknowledged.
func loadSlots(dir string, run uint64) {
	s, err := store.Open(store.Config{Dir: dir, Witness: dir + ".witness"})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	key, err := mutable.GenerateKey()
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	var wg sync.WaitGroup
	for i := range uint64(3) {
		wg.Go(func() {
			w := &slotWriter{s: s, key: key, run: run, i: i}
			for {
				if err := w.next(); err != nil {
					fmt.Println("error", err)
					os.Exit(1)
				}
			}
		})
	}
	wg.Wait()
}

type slotWriter struct {
	s       *store.Store
	key     *mutable.Key
	run, i  uint64
	state   agree.State
	counter int
}

// next does a random step that must succeed.
func (w *slotWriter) next() error {
	v, err := mutable.Encode(w.key, mutable.Params{Needed: 2, Total: 3}, w.state.Current.Seq+1, make([]byte, rand.IntN(20_000)))
	if err != nil {
		return err
	}
	id := storage.VersionOf(v.Header)
	req := storage.SlotRequest{Enabler: &storage.WriteEnabler{1}, Lease: &storage.LeaseSecrets{},
		Shares: map[storage.ShareNumber][]byte{0: v.Shares[0], 1: v.Shares[1], 2: v.Shares[2]}}
	switch n := w.state.Promised.N; rand.IntN(4) {
	case 0:
		req.Message = agree.Prepare{Ballot: agree.Ballot{N: n + 1}}
	case 1:
		req.Message = agree.Accept{Ballot: agree.Ballot{N: n + 1}, Version: id, Base: agree.Base{Version: w.state.Current}}
	case 2:
		req.Message = agree.Learn{Version: id, Ballot: agree.Ballot{N: n + 1}}
	default:
		req.Message = agree.Fast{Old: w.state.Current, Ballot: w.state.Accepted, New: id}
	}
	a, err := w.s.Slot(context.Background(), slotIndex(w.run, w.i), req)
	if err != nil {
		return err
	}
	w.state = a.State
	w.counter++
	text := fmt.Sprintf("%10d", w.counter)
	patch := storage.TestWrite{Patches: []storage.Patch{{Offset: 100, Data: []byte(text)}}}
	_, _, err = w.s.ReadTestWrite(context.Background(), plainIndex(w.run, w.i), req.Enabler, req.Lease,
		map[storage.ShareNumber]storage.TestWrite{0: patch, 1: patch, 200: patch}, nil)
	fp := w.key.Fingerprint()
	fmt.Printf("slot %d %d %d %d %x\n", w.i, w.state.Current.Seq, w.state.Promised.N, w.counter, fp[:])
	return err
}

// TestSlotsKilled kills a store that changes slots, at random moments: each
// slot is at the step that was acknowledged, or at the next, whole.
func TestSlotsKilled(t *testing.T) {
	dir := t.TempDir() + "/storage"
	steps := 0
	for run := range uint64(5) {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), crashSlots+"="+dir, fmt.Sprintf("LAFS_TEST_CRASH_RUN=%d", run))
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		told := map[uint64]promise{}
		var kill *time.Timer
		for lines := bufio.NewScanner(out); lines.Scan(); {
			line := lines.Text()
			if why, ok := strings.CutPrefix(line, "error "); ok {
				t.Errorf("under load: %s", why)
			}
			var i uint64
			var p promise
			var fp []byte
			if n, _ := fmt.Sscanf(line, "slot %d %d %d %d %x", &i, &p.seq, &p.promised, &p.counter, &fp); n != 5 {
				continue
			}
			p.fingerprint = hashes.Hash(fp)
			told[i] = p
			steps++
			if kill == nil {
				kill = time.AfterFunc(time.Duration(50+rand.IntN(300))*time.Millisecond, func() { cmd.Process.Kill() })
			}
		}
		cmd.Wait()
		if kill == nil {
			t.Fatal("nothing was acknowledged: the test saw nothing")
		}
		kill.Stop()
		checkSlots(t, dir, run, told)
	}
	t.Logf("%d steps acknowledged", steps)
}

func checkSlots(t *testing.T, dir string, run uint64, told map[uint64]promise) {
	t.Helper()
	s, err := store.Open(store.Config{Dir: dir, Witness: dir + ".witness"})
	if err != nil {
		t.Fatalf("Open after kill -9: %v", err)
	}
	defer s.Close()
	for i, p := range told {
		a, err := s.Slot(t.Context(), slotIndex(run, i), storage.SlotRequest{Message: agree.Read{}, Fetch: 1 << 20})
		if err != nil || a.State.Current.Seq < p.seq || a.State.Promised.N < p.promised || a.State.Current.Seq > p.seq+1 {
			t.Errorf("a slot after kill -9: got %+v, %v, want %+v", a.State, err, p)
			continue
		}
		checkVersion(t, p.fingerprint, a.State.Current, a.Current)
		if base := a.State.Base.Version; !a.State.Committed && !base.IsZero() {
			checkVersion(t, p.fingerprint, base, a.Base)
		}
		ok, data, err := s.ReadTestWrite(t.Context(), plainIndex(run, i), &storage.WriteEnabler{1}, &storage.LeaseSecrets{}, nil,
			[]storage.Span{{Size: 1000}})
		if err != nil || !ok || len(data) != 3 || len(data[0][0]) != 110 {
			t.Errorf("ReadTestWrite after kill -9: got %v, %q, %v", ok, data, err)
			continue
		}
		var counter int
		fmt.Sscan(string(data[0][0][100:]), &counter)
		if string(data[0][0]) != string(data[1][0]) || string(data[0][0]) != string(data[200][0]) || counter < p.counter || counter > p.counter+1 {
			t.Errorf("a plain slot after kill -9: got %q, want %d", data, p.counter)
		}
	}
	left := 0
	for _, si := range slotDirs(t, dir) {
		if _, err := s.Shares(t.Context(), storage.Mutable, si); err != nil {
			t.Errorf("Shares after kill -9: %v", err)
		}
		left++
	}
	if left == 0 {
		t.Error("no slot is left")
	}
	if st, err := s.Stats(); err != nil || st.StateLost {
		t.Errorf("Stats: got %+v, %v", st, err)
	}
}

// checkVersion verifies all shares of a version, down to their blocks.
func checkVersion(t *testing.T, fingerprint hashes.Hash, v agree.VersionID, shares map[storage.ShareNumber]storage.SlotShare) {
	t.Helper()
	if v.IsZero() {
		return
	}
	if len(shares) != 3 {
		t.Errorf("version %d has %d shares, want 3", v.Seq, len(shares))
	}
	for n, sh := range shares {
		got, err := mutable.OpenShare(t.Context(), fingerprint, int(n), mutable.Bytes(sh.Data))
		if err != nil {
			t.Errorf("share %d of version %d: %v", n, v.Seq, err)
			continue
		}
		if storage.VersionOf(got.Header) != v {
			t.Errorf("share %d is of version %d, want %d", n, got.Seq, v.Seq)
		}
		if _, err := got.Blocks(t.Context(), 0, got.Segments()); err != nil {
			t.Errorf("the blocks of share %d of version %d: %v", n, v.Seq, err)
		}
	}
}
