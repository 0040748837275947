package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"lafs/node/gateway"
)

// A side is a grid that is measured, ours or Tahoe-LAFS's. Both are asked
// through their client's web API, which is the same.
type side struct {
	name string
	ours bool
	host string // as the web API wants to be called
	// dirs are the storage servers' directories.
	dirs []string
	// way leads to the client's web API.
	way http.RoundTripper
	// client and servers are the process ids of what runs.
	client, servers func() []int
	// stop ends the client, start runs it again, ready returns when it can
	// reach all servers.
	stop         func()
	start, ready func(context.Context) error
}

// restart gives the client a new start.
func (s *side) restart(ctx context.Context) error {
	s.stop()
	if err := s.start(ctx); err != nil {
		return err
	}
	return s.ready(ctx)
}

// content is new for each call: what is on the grid already is not sent.
func content(size int64) []byte {
	b := make([]byte, size)
	rand.Read(b)
	return b
}

// do sends one request. An answer that is not a success is an error.
func (s *side) do(ctx context.Context, method, path string, body []byte, accept string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+s.host+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	resp, err := s.way.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 != 2 {
		defer resp.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 500))
		return nil, fmt.Errorf("%s answered %s: %s", s.name, resp.Status, bytes.TrimSpace(text))
	}
	return resp, nil
}

// ask is do with the whole answer, a cap or JSON.
func (s *side) ask(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	resp, err := s.do(ctx, method, path, body, "")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// send is ask where only success matters.
func (s *side) send(ctx context.Context, method, path string, body []byte) error {
	_, err := s.ask(ctx, method, path, body)
	return err
}

// mkdir makes a directory and returns its cap.
func (s *side) mkdir(ctx context.Context) (string, error) {
	cap, err := s.ask(ctx, http.MethodPost, "/uri?t=mkdir", nil)
	return strings.TrimSpace(string(cap)), err
}

// A stored is a file whose cap is known. What is still on the way of its
// shares is told by updates, nil where nothing is.
type stored struct {
	cap     string
	updates *json.Decoder
	body    io.Closer
}

// put stores a file and returns when its cap is given: by us, when its
// shares lie on enough servers.
func (s *side) put(ctx context.Context, data []byte) (*stored, error) {
	if !s.ours {
		cap, err := s.ask(ctx, http.MethodPut, "/uri", data)
		return &stored{cap: strings.TrimSpace(string(cap))}, err
	}
	resp, err := s.do(ctx, http.MethodPut, "/uri", data, gateway.ProgressType)
	if err != nil {
		return nil, err
	}
	updates := json.NewDecoder(resp.Body)
	for {
		var u gateway.Update
		if err := updates.Decode(&u); err != nil {
			resp.Body.Close()
			return nil, err
		}
		switch {
		case u.Error != "":
			resp.Body.Close()
			return nil, errors.New(u.Error)
		case u.Cap != "" && u.Pending:
			return &stored{u.Cap, updates, resp.Body}, nil
		case u.Cap != "":
			return &stored{cap: u.Cap}, resp.Body.Close()
		}
	}
}

// rest waits until all shares have a place.
func (f *stored) rest() error {
	if f.updates == nil {
		return nil
	}
	defer f.body.Close()
	var u gateway.Update
	if err := f.updates.Decode(&u); err != nil || u.Placed == nil {
		return errors.Join(errors.New("what became of the rest of the shares is not known"), err)
	}
	if u.Placed.Shares < u.Placed.Total {
		return fmt.Errorf("only %d of %d shares were placed", u.Placed.Shares, u.Placed.Total)
	}
	return nil
}

// putAll stores a file and waits until all shares have a place.
func (s *side) putAll(ctx context.Context, data []byte) (string, error) {
	f, err := s.put(ctx, data)
	if err != nil {
		return "", err
	}
	return f.cap, f.rest()
}

// get fetches a file of so many bytes.
func (s *side) get(ctx context.Context, path string, size int64) error {
	resp, err := s.do(ctx, http.MethodGet, "/uri/"+path, nil, "")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	if err == nil && n != size {
		err = fmt.Errorf("got %d bytes of %d", n, size)
	}
	return err
}

const (
	// firstPatience is how long a node that has just started may take until
	// it finds what it needs: it is still learning its servers.
	firstPatience = time.Minute
	firstPause    = 20 * time.Millisecond
)

// firstByte repeats a get until it gives a byte.
func (s *side) firstByte(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, firstPatience)
	defer cancel()
	for {
		resp, err := s.do(ctx, http.MethodGet, "/uri/"+path, nil, "")
		if err == nil {
			_, err = io.ReadFull(resp.Body, make([]byte, 1))
			resp.Body.Close()
		}
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(firstPause):
		}
	}
}

// A checked is what a check says, with or without repair.
type checked struct {
	StorageIndex string `json:"storage-index"`
	Summary      string
	Results      struct{ Healthy bool }
	Attempted    bool `json:"repair-attempted"`
	Successful   bool `json:"repair-successful"`
}

func (s *side) check(ctx context.Context, cap, more string) (checked, error) {
	var report checked
	answer, err := s.ask(ctx, http.MethodPost, "/uri/"+cap+"?t=check&output=JSON"+more, nil)
	if err != nil {
		return report, err
	}
	return report, json.Unmarshal(answer, &report)
}

// healthy checks a file or directory that nothing has happened to.
func (s *side) healthy(ctx context.Context, cap string) error {
	report, err := s.check(ctx, cap, "")
	if err == nil && !report.Results.Healthy {
		err = fmt.Errorf("what was checked is not healthy: %s", report.Summary)
	}
	return err
}

// lose removes the share of a file from the disk of the first server that
// has one. Both kinds of servers keep it under the same name.
func (s *side) lose(ctx context.Context, cap string) error {
	report, err := s.check(ctx, cap, "")
	if err != nil {
		return err
	}
	if index := report.StorageIndex; len(index) > 2 {
		for _, dir := range s.dirs {
			paths, err := filepath.Glob(filepath.Join(dir, "storage", "shares", index[:2], index, "[0-9]*"))
			if err == nil && len(paths) > 0 {
				return os.Remove(paths[0])
			}
		}
	}
	return errors.New("no server has a share of the file")
}
