package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// content is new for each call: what is on the grid already is not sent.
func content(size int64) []byte {
	b := make([]byte, size)
	rand.Read(b)
	return b
}

// put stores a file and returns its cap.
func (b *bench) put(ctx context.Context, data []byte) (string, error) {
	answer, err := b.ask(ctx, http.MethodPut, "/uri", data)
	return string(answer), err
}

// getAll fetches a file of so many bytes.
func (b *bench) getAll(ctx context.Context, path string, size int64) error {
	data, err := b.ask(ctx, http.MethodGet, "/uri/"+path, nil)
	if err == nil && int64(len(data)) != size {
		err = fmt.Errorf("got %d bytes of %d", len(data), size)
	}
	return err
}

// getUntil repeats a get until it succeeds: a node that has just started may
// still be learning its servers.
func (b *bench) getUntil(ctx context.Context, cap string, patience time.Duration) error {
	deadline := time.Now().Add(patience)
	for {
		_, err := b.ask(ctx, http.MethodGet, "/uri/"+cap, nil)
		if err == nil || time.Now().After(deadline) {
			return err
		}
	}
}

// A checked is what a check says, with or without repair.
type checked struct {
	StorageIndex string `json:"storage-index"`
	Summary      string
	Results      struct{ Healthy bool }
	Attempted    bool `json:"repair-attempted"`
}

func (b *bench) check(ctx context.Context, cap string, repair bool) (checked, error) {
	var report checked
	query := "?t=check&output=JSON"
	if repair {
		query += "&repair=true"
	}
	answer, err := b.ask(ctx, http.MethodPost, "/uri/"+cap+query, nil)
	if err != nil {
		return report, err
	}
	return report, json.Unmarshal(answer, &report)
}

// ask sends one request to the client's gateway. An answer that is not a
// success is an error.
func (b *bench) ask(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://lafs"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	resp, err := b.client.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode/100 != 2 {
		err = fmt.Errorf("the gateway answered %s: %s", resp.Status, data)
	}
	return data, err
}
