package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"lafs/node/store"
	"lafs/onion"
	"lafs/onion/local"
	"lafs/onion/mux"
	"lafs/shares/caps"
	"lafs/shares/storage"
	"lafs/shares/storage/gbs"
)

const (
	largeSize = 128 << 20
	readPiece = 1 << 20
	// readTurn is what one of the two reads before it is the other's turn:
	// whatever else the machine does, both feel it alike.
	readTurn  = 16 << 20
	readTurns = 40
)

// A way reads a piece of the large share or of the bare file.
type way func(ctx context.Context, at int64, p []byte) error

// reads compares reads of a large share with those of a bare file, both over
// the same socket, and over sessions as they run over Tor.
func (b *bench) reads(ctx context.Context) error {
	si := fresh(-1)
	if err := b.putLarge(ctx, si); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(b.small(), bareFile), make([]byte, largeSize), 0o600); err != nil {
		return err
	}
	s, err := start(ctx, b.small())
	if err != nil {
		return err
	}
	defer s.end(syscall.SIGTERM)
	key, err := onion.GenerateKey()
	if err != nil {
		return err
	}
	addr, err := key.Addr(1)
	if err != nil {
		return err
	}
	pool, err := mux.NewPool(socketNetwork{filepath.Join(b.small(), "mux")}, mux.Config{})
	if err != nil {
		return err
	}
	defer pool.Close()
	plain := plainPeer{local.UnixClient(filepath.Join(b.small(), "http"))}
	if err := b.readOver(ctx, "large reads, 1 MiB a request", plain, plain.wire, si); err != nil {
		return err
	}
	return b.readOver(ctx, "large reads over a session", pool.Peer(addr, "reads"), plain.wire, si)
}

// readOver compares by one peer; side is the way to ask what it cost.
func (b *bench) readOver(ctx context.Context, name string, peer gbs.Peer, side http.RoundTripper, si caps.StorageIndex) error {
	client, wire := gbs.NewClient(peer, storage.NewSwissnum(swissnum)), peer.RoundTripper(mux.Bulk)
	ours := func(ctx context.Context, at int64, p []byte) error {
		n, err := client.Read(ctx, storage.Immutable, si, 0, at, p)
		if err == nil && n < len(p) {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	bare := func(ctx context.Context, at int64, p []byte) error { return readBare(ctx, wire, at, p) }
	var fast, cheap []float64
	var wall, cpu [2][]float64
	for i := range readTurns {
		ways := []way{bare, ours}
		var took, used [2]time.Duration
		for j := range ways {
			// Each begins every other time.
			k := (i + j) % 2
			var err error
			if took[k], used[k], err = turn(ctx, side, ways[k], int64(i)*readTurn%largeSize); err != nil {
				return err
			}
			wall[k] = append(wall[k], readTurn/1e6/took[k].Seconds())
			cpu[k] = append(cpu[k], used[k].Seconds()*1e9/readTurn)
		}
		fast = append(fast, took[0].Seconds()/took[1].Seconds())
		cheap = append(cheap, used[1].Seconds()/used[0].Seconds())
	}
	row(name, "%.0f MB/s; a bare file %.0f MB/s: %.2f times (a quarter of the turns below %.2f)",
		median(wall[1]), median(wall[0]), median(fast), quarter(fast))
	row("  processor time of both ends", "%.2f s/GB; a bare file %.2f s/GB: %.2f times", median(cpu[1]), median(cpu[0]), median(cheap))
	return nil
}

// turn reads readTurn bytes from byte from on, and says how long that took,
// and how much time of processors, of the server's and of this process.
func turn(ctx context.Context, side http.RoundTripper, read way, from int64) (took, used time.Duration, err error) {
	p := make([]byte, readPiece)
	before, err := bothUsed(ctx, side)
	if err != nil {
		return 0, 0, err
	}
	began := time.Now()
	for at := from; at < from+readTurn; at += readPiece {
		if err := read(ctx, at, p); err != nil {
			return 0, 0, err
		}
	}
	took = time.Since(began)
	after, err := bothUsed(ctx, side)
	return took, after - before, err
}

// bothUsed is the time of processors that the server and this process have
// used.
func bothUsed(ctx context.Context, side http.RoundTripper) (time.Duration, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://lafs"+usedPath, nil)
	if err != nil {
		return 0, err
	}
	resp, err := side.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	theirs, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		return 0, err
	}
	own, err := processorTime()
	return own + time.Duration(theirs), err
}

// processorTime is what this process has used.
func processorTime() (time.Duration, error) {
	var u syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), err
}

func serveUsed(w http.ResponseWriter, _ *http.Request) {
	if used, err := processorTime(); err == nil {
		fmt.Fprint(w, int64(used))
	}
}

// putLarge stores the large share, if it is not there.
func (b *bench) putLarge(ctx context.Context, si caps.StorageIndex) error {
	s, err := store.Open(config(b.small()))
	if err != nil {
		return err
	}
	defer s.Close()
	up := storage.GenerateUploadSecret()
	a, err := s.Allocate(ctx, si, []storage.ShareNumber{0}, largeSize, up, &storage.LeaseSecrets{})
	if err != nil || len(a.AlreadyHave) > 0 {
		return err
	}
	p := make([]byte, readPiece)
	for at := int64(0); at < largeSize; at += readPiece {
		if _, err := s.Write(ctx, si, 0, up, at, p); err != nil {
			return err
		}
	}
	return nil
}

func readBare(ctx context.Context, wire http.RoundTripper, at int64, p []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://lafs"+barePath, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", at, at+int64(len(p))-1))
	resp, err := wire.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.ReadFull(resp.Body, p)
	return err
}
