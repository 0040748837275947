package tornet_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"lafs/onion/tornet"
)

// up starts a network under a supervisor of its own.
func up(t *testing.T, cfg tornet.Config) *tornet.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	began := time.Now()
	r, err := tornet.Up(ctx, cfg, supervisor(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("delay %v: ready after %.1f s", cfg.Delay, time.Since(began).Seconds())
	t.Cleanup(func() {
		if running(r.Owner.PID) {
			syscall.Kill(r.Owner.PID, syscall.SIGKILL)
		}
	})
	return r
}

func supervisor(t *testing.T) []string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return []string{exe, supervise}
}

func TestUpDown(t *testing.T) {
	needTor(t)
	t.Parallel()
	dir := filepath.Join(shortDir(t), "net")
	r := up(t, tornet.Config{Dir: dir, Delay: 40 * time.Millisecond})
	visit(t, r.Clients[1], publish(t, r.Clients[0]))
	if _, err := tornet.Up(t.Context(), tornet.Config{Dir: dir}, supervisor(t)); err == nil || !strings.Contains(err.Error(), "already there") {
		t.Errorf("Up again: got %v, want an error that says what is there", err)
	}
	if err := tornet.Down(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	wantNothing(t, dir, r)
	if running(r.Owner.PID) {
		t.Error("the supervisor still runs")
	}
	if err := tornet.Down(t.Context(), dir); err == nil {
		t.Error("Down of nothing: got no error")
	}
}

// Where the supervisor is killed, the tors end, and down removes the rest.
func TestSupervisorKilled(t *testing.T) {
	needTor(t)
	t.Parallel()
	dir := filepath.Join(shortDir(t), "net")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	r := up(t, tornet.Config{Dir: dir, Clients: 1})
	if err := syscall.Kill(r.Owner.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for _, p := range r.Tors {
		poll(t, "end of "+p.Name, func() bool { return !running(p.PID) })
	}
	if err := tornet.Down(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("directory that the network did not make: got %v, %v; want it there and empty", entries, err)
	}
}

// Without its record nobody could end the network: it ends by itself.
func TestRecordRemoved(t *testing.T) {
	needTor(t)
	t.Parallel()
	dir := filepath.Join(shortDir(t), "net")
	r := up(t, tornet.Config{Dir: dir, Clients: 1})
	if err := os.Remove(filepath.Join(dir, "net.json")); err != nil {
		t.Fatal(err)
	}
	poll(t, "end of the supervisor", func() bool { return !running(r.Owner.PID) })
	wantNothing(t, dir, r)
}

// An interrupted start leaves nothing.
func TestUpInterrupted(t *testing.T) {
	needTor(t)
	t.Parallel()
	dir := filepath.Join(shortDir(t), "net")
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() {
		_, err := tornet.Up(ctx, tornet.Config{Dir: dir}, supervisor(t))
		failed <- err
	}()
	var r *tornet.Record
	poll(t, "start of the servers", func() bool {
		var err error
		r, err = tornet.ReadRecord(dir)
		return err == nil && len(r.Tors) > 0
	})
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("Up: got %v, want %v", err, context.Canceled)
	}
	wantNothing(t, dir, r)
}

// Down leaves alone a tor whose pid an old record names.
func TestForeignTor(t *testing.T) {
	needTor(t)
	t.Parallel()
	base := shortDir(t)
	dir := filepath.Join(base, "net")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	foreign := startTor(t, "--DataDirectory", filepath.Join(base, "foreign"), "--SocksPort", "0", "--DisableNetwork", "1", "--quiet")
	r := tornet.Record{Supervised: true, Owner: tornet.ProcessRecord{Name: "owner", PID: foreign.Pid, Started: "1@elsewhere"}}
	r.Tors = append(r.Tors, tornet.ProcessRecord{Name: "auth0", PID: foreign.Pid, Started: "1@elsewhere"})
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"net.json": string(b), "relay1": "", "relay": "", "relay1x": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := tornet.Down(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	if !running(foreign.Pid) {
		t.Error("a tor that the network did not start was killed")
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 || entries[0].Name() != "relay" || entries[1].Name() != "relay1x" {
		t.Errorf("files after Down: got %v, %v; want only the two that no network makes", entries, err)
	}
}

func TestBadRecord(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "net.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := tornet.Down(t.Context(), dir); err == nil {
		t.Error("Down with half a record: got no error")
	}
}
