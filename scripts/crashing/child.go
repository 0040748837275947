package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"lafs/node/store"
	"lafs/onion/local"
	"lafs/onion/mux"
	"lafs/shares/caps"
	"lafs/shares/storage"
	"lafs/shares/storage/gbs"
)

// childEnv makes this program the server that is broken; its value is a verb
// and the directory to work in.
const childEnv = "LAFS_CRASHING_CHILD"

func child(run string) error {
	switch {
	case len(run) > 6 && run[:6] == "serve:":
		return serve(run[6:])
	case len(run) > 7 && run[:7] == "record:":
		return perform(run[7:])
	}
	return errors.New("unknown part")
}

func config(dir string) store.Config {
	return store.Config{Dir: dir + "/storage", Witness: dir + "/witness", TubID: [20]byte{1}}
}

// A localServer is a store in this process.
type localServer struct{ *store.Store }

func (s localServer) Leased(ctx context.Context, si caps.StorageIndex, l *storage.LeaseSecrets) (bool, error) {
	until, err := s.Store.Leased(ctx, si, l)
	return !until.IsZero(), err
}

const (
	swissnum   = "a right to store that only this test has"
	leasedPath = "/leased"
)

// serve is a storage server on a unix socket in dir, until SIGTERM.
func serve(dir string) error {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	cfg := config(dir)
	cfg.Log = log
	st, err := store.Open(cfg)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	go st.Run(ctx)
	routes := http.NewServeMux()
	routes.Handle("/", gbs.NewHandler(gbs.HandlerConfig{Log: log, Authorize: func(got []byte) (storage.Server, bool) { return st, string(got) == swissnum }}))
	routes.HandleFunc(leasedPath, func(w http.ResponseWriter, r *http.Request) {
		var l storage.LeaseSecrets
		si, err := caps.ParseStorageIndex(r.FormValue("si"))
		renew, err2 := hex.DecodeString(r.FormValue("renew"))
		copy(l.Renew[:], renew)
		until, err3 := st.Leased(r.Context(), si, &l)
		if err := errors.Join(err, err2, err3); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprint(w, !until.IsZero())
	})
	l, err := local.ListenUnix(dir + "/socket")
	if err != nil {
		return err
	}
	web := &http.Server{Handler: routes}
	go web.Serve(l)
	fmt.Println("ready")
	<-ctx.Done()
	web.Shutdown(context.Background())
	return st.Close()
}

// A remoteServer is one at the far end of a socket.
type remoteServer struct {
	*gbs.Client
	wire http.RoundTripper
}

// A socketPeer is a gbs.Peer.
type socketPeer struct{ wire http.RoundTripper }

func (p socketPeer) RoundTripper(mux.Class) http.RoundTripper { return p.wire }

func connect(dir string) remoteServer {
	wire := local.UnixClient(dir + "/socket")
	return remoteServer{gbs.NewClient(socketPeer{wire}, storage.NewSwissnum(swissnum)), wire}
}

func (s remoteServer) Leased(ctx context.Context, si caps.StorageIndex, l *storage.LeaseSecrets) (bool, error) {
	url := fmt.Sprintf("http://lafs%s?si=%s&renew=%x", leasedPath, si, l.Renew)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false, err
	}
	resp, err := s.wire.RoundTrip(req)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(string(b))
	}
	return string(b) == "true", err
}
