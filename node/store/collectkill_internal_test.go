package store

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"lafs/shares/caps"
	"lafs/shares/storage"
)

const (
	crashCollect = "LAFS_TEST_CRASH_COLLECT"
	// killedIndexes are in turn live, ended, and ended and renewed by a client
	// while the pass goes on.
	killedIndexes = 360
)

var collectDay = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func collectConfig(dir string, days int) Config {
	return Config{Dir: dir, Now: func() time.Time { return collectDay.Add(time.Duration(days) * day) },
		Expire: Expiry{Enabled: true, Immutable: true, Mutable: true}}
}

func killedIndex(i int) caps.StorageIndex {
	var si caps.StorageIndex
	// Spread, so that a page has some of each.
	binary.BigEndian.PutUint32(si[:], uint32(i)*2654435761)
	si[15] = byte(i % 3)
	return si
}

// killedText is what the shares of an index hold.
func killedText(i int) string { return fmt.Sprintf("text of %d", i) }

// CollectUntilKilled makes a pass, while clients renew some leases, until it
// is killed; it prints what it promised.
func CollectUntilKilled() {
	dir := os.Getenv(crashCollect)
	if dir == "" {
		return
	}
	s, err := Open(collectConfig(dir, 40))
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	go func() {
		for _, n := range rand.Perm(killedIndexes / 3) {
			i := 3*n + 2
			l := &storage.LeaseSecrets{Renew: [32]byte{byte(i), byte(i >> 8), 7}}
			if err := s.AddLease(context.Background(), killedIndex(i), l); err == nil {
				fmt.Println("renewed", i)
			} else if err != storage.ErrNotFound {
				fmt.Println("error", err)
			}
		}
	}()
	fmt.Println("begin")
	for s.collector.tick(); s.collector.at.began != 0; s.collector.tick() {
		s.mu.Lock()
		fmt.Println("left", s.shares)
		s.mu.Unlock()
	}
	if err := s.Close(); err != nil {
		fmt.Println("error", err)
	}
	fmt.Println("end")
	os.Exit(0)
}

// TestCollectKilled: a server that is killed in the middle of a pass, again
// and again, loses nothing that has a live lease, also not what got one
// meanwhile, and the pass comes to its end.
func TestCollectKilled(t *testing.T) {
	dir := t.TempDir() + "/storage"
	s := mustOpen(t, collectConfig(dir, 0))
	for i := range killedIndexes {
		if i%2 == 0 {
			mustPut(t, s, killedIndex(i), 0, killedText(i))
			continue
		}
		w := storage.TestWrite{Patches: []storage.Patch{{Data: []byte(killedText(i))}}}
		_, _, err := s.ReadTestWrite(t.Context(), killedIndex(i), &storage.WriteEnabler{}, &storage.LeaseSecrets{}, map[storage.ShareNumber]storage.TestWrite{0: w}, nil)
		if err != nil {
			t.Fatal(err)
		}
	}
	at := 0
	s.cfg.Now = func() time.Time { return collectDay.Add(time.Duration(at) * day) }
	for at = range 41 {
		s.collector.day()
	}
	for i := 0; i < killedIndexes; i += 3 {
		if err := s.AddLease(t.Context(), killedIndex(i), &storage.LeaseSecrets{Renew: [32]byte{9}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	renewed := map[int]bool{}
	ended, kills := false, 0
	for run := 0; !ended; run++ {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), crashCollect+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// After some of what it says; in the end it may finish.
		last := 1 + rand.IntN(12)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var i int
			line := lines.Text()
			if why, bad := strings.CutPrefix(line, "error "); bad {
				t.Errorf("while it collects: %s", why)
			} else if n, _ := fmt.Sscanf(line, "renewed %d", &i); n == 1 {
				renewed[i] = true
			}
			ended = ended || line == "end"
			if last--; last == 0 && run < 12 {
				cmd.Process.Kill()
				kills++
			}
		}
		cmd.Wait()
		checkCollected(t, dir, renewed, ended)
		if t.Failed() || run > 20 {
			t.Fatalf("run %d: the pass ended: %v", run, ended)
		}
	}
	t.Logf("%d kills, %d renewed meanwhile", kills, len(renewed))
	if kills < 3 || len(renewed) == 0 {
		t.Errorf("%d kills, %d renewed: the test saw nothing", kills, len(renewed))
	}
}

func checkCollected(t *testing.T, dir string, renewed map[int]bool, ended bool) {
	t.Helper()
	s := mustOpen(t, collectConfig(dir, 40))
	held := 0
	for i := range killedIndexes {
		kind := storage.Immutable
		if i%2 == 1 {
			kind = storage.Mutable
		}
		p := make([]byte, 100)
		n, err := s.Read(t.Context(), kind, killedIndex(i), 0, 0, p)
		switch {
		case err == nil && string(p[:n]) == killedText(i):
			if held++; ended && i%3 == 1 {
				t.Errorf("%d was not collected", i)
			}
		case err != storage.ErrNotFound:
			t.Errorf("%d: read %q, %v", i, p[:n], err)
		case i%3 == 0 || renewed[i]:
			t.Errorf("%d has a live lease and is gone (renewed meanwhile: %v)", i, renewed[i])
		}
	}
	if st, err := s.Stats(); err != nil || int(st.Shares) != held {
		t.Errorf("Stats: %+v, %v, want %d shares", st, err, held)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if sum, faults := checked(t, s.cfg, CheckOptions{}); len(faults) > 0 {
		t.Errorf("fsck finds %+v, %v", sum, faults)
	}
}
