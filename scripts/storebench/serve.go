package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"lafs/node/store"
	"lafs/onion"
	"lafs/onion/local"
	"lafs/onion/mux"
	"lafs/shares/storage"
	"lafs/shares/storage/gbs"
)

// childEnv makes this program the server; its value is the directory.
const childEnv = "LAFS_STOREBENCH_CHILD"

const (
	swissnum = "the right to store of this measurement"
	barePath = "/bare"
	usedPath = "/used"
	// bareFile is read without the store.
	bareFile = "bare"
	sessions = 1000
)

// serve is a storage server on unix sockets, one for sessions and one for
// plain HTTP, until SIGTERM.
func serve(dir string) error {
	st, err := store.Open(config(dir))
	if err != nil {
		return err
	}
	fmt.Println("ready")
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	go st.Run(ctx)
	shares := gbs.NewHandler(gbs.HandlerConfig{Authorize: func(got []byte) (storage.Server, bool) { return st, string(got) == swissnum }})
	routes := http.NewServeMux()
	routes.Handle("/", shares)
	routes.HandleFunc(barePath, func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, filepath.Join(dir, bareFile)) })
	routes.HandleFunc(usedPath, serveUsed)
	plain, err := local.ListenUnix(filepath.Join(dir, "http"))
	if err != nil {
		return err
	}
	go http.Serve(plain, routes)
	l, err := local.ListenUnix(filepath.Join(dir, "mux"))
	if err != nil {
		return err
	}
	fmt.Println("listening")
	if err := mux.Serve(ctx, l, routes, mux.ServerConfig{}); err != nil {
		return err
	}
	return st.Close()
}

// A server is a process that serves.
type server struct {
	cmd *exec.Cmd
	out *bufio.Reader
	// took is the time from its start until the store was open.
	took time.Duration
}

func start(ctx context.Context, dir string) (*server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	cmd.Stderr = os.Stderr
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &server{cmd: cmd, out: bufio.NewReader(pipe)}
	for _, want := range []string{"ready\n", "listening\n"} {
		if line, err := s.out.ReadString('\n'); line != want {
			return nil, fmt.Errorf("start the server: %q, %w", line, err)
		}
		if s.took == 0 {
			s.took = time.Since(began)
		}
	}
	return s, nil
}

func (s *server) end(sig syscall.Signal) error {
	if err := s.cmd.Process.Signal(sig); err != nil {
		return err
	}
	err := s.cmd.Wait()
	if sig == syscall.SIGKILL {
		return nil
	}
	return err
}

// memory returns what the kernel counts for the process, in MiB: the peak,
// and now what is its own and what is of mapped files, which the kernel takes
// back when it needs it.
func (s *server) memory() (peak, own, mapped int, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0, 0, 0, err
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		n, _ := strconv.Atoi(f[1])
		switch f[0] {
		case "VmHWM:":
			peak = n / 1024
		case "RssAnon:":
			own = n / 1024
		case "RssFile:":
			mapped = n / 1024
		}
	}
	return peak, own, mapped, nil
}

// A socketNetwork is an onion.Network with one service, on a unix socket.
type socketNetwork struct{ path string }

func (n socketNetwork) Dial(ctx context.Context, _ onion.Addr, _ onion.Lane) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, "unix", n.path)
}

func (socketNetwork) Listen(context.Context, onion.Service) ([]net.Listener, error) {
	return nil, errors.New("there is nothing to publish")
}

// A plainPeer is a gbs.Peer without sessions.
type plainPeer struct{ wire http.RoundTripper }

func (p plainPeer) RoundTripper(mux.Class) http.RoundTripper { return p.wire }
