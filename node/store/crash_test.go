package store_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"lafs/node/store"
	"lafs/shares/caps"
	"lafs/shares/storage"
)

const crashDir = "LAFS_TEST_CRASH_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		load(dir)
	}
	if dir := os.Getenv(crashSlots); dir != "" {
		run, _ := strconv.ParseUint(os.Getenv("LAFS_TEST_CRASH_RUN"), 10, 64)
		loadSlots(dir, run)
	}
	store.CollectUntilKilled()
	os.Exit(m.Run())
}

// contentOf is what the share n of si holds: the reader can tell it without
// having been told.
func contentOf(si caps.StorageIndex, n storage.ShareNumber) []byte {
	seed := sha256.Sum256(append(si[:], byte(n)))
	rng := rand.NewChaCha8(seed)
	data := make([]byte, 1+int(binary.BigEndian.Uint16(seed[:])))
	rng.Read(data)
	return data
}

// load uploads shares until it is killed, and prints each when it was
// acknowledged.
func load(dir string) {
	s, err := store.Open(store.Config{Dir: dir})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	var out sync.Mutex
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			for {
				var si caps.StorageIndex
				binary.BigEndian.PutUint64(si[:], rand.Uint64())
				if err := uploadTwo(s, si, &out); err != nil {
					fmt.Println("error", err)
					os.Exit(1)
				}
			}
		})
	}
	wg.Wait()
}

func uploadTwo(s *store.Store, si caps.StorageIndex, out *sync.Mutex) error {
	ctx := context.Background()
	secret, lease := storage.GenerateUploadSecret(), &storage.LeaseSecrets{}
	for n := range storage.ShareNumber(2) {
		data := contentOf(si, n)
		if _, err := s.Allocate(ctx, si, []storage.ShareNumber{n}, int64(len(data)), secret, lease); err != nil {
			return err
		}
		half := len(data) / 2
		if half > 0 {
			if _, err := s.Write(ctx, si, n, secret, int64(half), data[half:]); err != nil {
				return err
			}
			data = data[:half]
		}
		if _, err := s.Write(ctx, si, n, secret, 0, data); err != nil {
			return err
		}
		out.Lock()
		fmt.Println("done", si, n)
		out.Unlock()
	}
	return nil
}

// TestKilled kills a store under load at random moments: what it
// acknowledged is there and right, and what is there is whole. It shows what
// kill -9 does, not what power loss does.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	acked := map[string]bool{}
	for run := range 5 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), crashDir+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// At first soon after its start, which may be before it has answered
		// anything; then, however long a start takes here, when it has.
		var kill *time.Timer
		later := func() {
			kill = time.AfterFunc(time.Duration(100+rand.IntN(300))*time.Millisecond, func() { cmd.Process.Kill() })
		}
		if run < 2 {
			later()
		}
		for lines := bufio.NewScanner(out); lines.Scan(); {
			line := lines.Text()
			if why, ok := strings.CutPrefix(line, "error "); ok {
				t.Errorf("under load: %s", why)
			}
			if share, ok := strings.CutPrefix(line, "done "); ok {
				acked[share] = true
				if kill == nil {
					later()
				}
			}
		}
		cmd.Wait()
		if kill != nil { // else it ended by itself, and has said why
			kill.Stop()
		}
		checkAll(t, dir, acked)
	}
	t.Logf("%d shares acknowledged", len(acked))
	if len(acked) == 0 {
		t.Error("nothing was acknowledged: the test saw nothing")
	}
}

func checkAll(t *testing.T, dir string, acked map[string]bool) {
	t.Helper()
	s, err := store.Open(store.Config{Dir: dir})
	if err != nil {
		t.Fatalf("Open after kill -9: %v", err)
	}
	defer s.Close()
	found := 0
	for _, si := range indexes(t, dir) {
		numbers, err := s.Shares(context.Background(), storage.Immutable, si)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range numbers {
			found++
			want := contentOf(si, n)
			got := make([]byte, len(want)+1)
			c, err := s.Read(context.Background(), storage.Immutable, si, n, 0, got)
			if err != nil || !bytes.Equal(got[:c], want) {
				t.Errorf("a share after kill -9: got %d bytes, %v, want %d", c, err, len(want))
			}
		}
	}
	for share := range acked {
		var name string
		var n storage.ShareNumber
		fmt.Sscan(share, &name, &n)
		si, err := caps.ParseStorageIndex(name)
		if err != nil {
			t.Fatalf("acknowledged share %q: %v", share, err)
		}
		if _, err := s.Read(context.Background(), storage.Immutable, si, n, 0, make([]byte, 1)); err != nil {
			t.Errorf("an acknowledged share after kill -9: %v", err)
		}
	}
	stats, err := s.Stats()
	if err != nil || stats.Shares != int64(found) {
		t.Errorf("Stats: got %+v, %v, want %d shares", stats, err, found)
	}
}
