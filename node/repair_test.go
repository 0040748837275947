package node_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lafs/onion/oniontest"
)

// A checked is Tahoe-LAFS's JSON of a check.
type checked struct {
	Results struct {
		Healthy       bool                `json:"healthy"`
		Good          int                 `json:"count-shares-good"`
		Hosts         int                 `json:"count-good-share-hosts"`
		Wrong         int                 `json:"count-wrong-shares"`
		Unrecoverable int                 `json:"count-unrecoverable-versions"`
		Recoverable   int                 `json:"count-recoverable-versions"`
		Sharemap      map[string][]string `json:"sharemap"`
	} `json:"results"`
}

func (c *checked) holders() []string {
	var ids []string
	for _, servers := range c.Results.Sharemap {
		ids = append(ids, servers...)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// A server on which a directory lies is lost for good: a check with repair,
// by the web API, moves its share to a server that had none, under the same
// version, and those who knew the directory before go on.
func TestRepairMovesDirectory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := oniontest.New(oniontest.Options{RTT: 100 * time.Millisecond})
		clients, stop := apis(t, net, 11, 3)
		defer stop()
		a, b, c := clients[0], clients[1], clients[2]
		root := "/uri/" + ask(t, a, "POST", "/uri?t=mkdir", "")
		ask(t, a, "PUT", root+"/one", "1")
		ask(t, c, "GET", root+"?t=json", "")
		time.Sleep(time.Minute)
		var first checked
		if err := json.Unmarshal([]byte(ask(t, b, "POST", root+"?t=check&output=JSON", "")), &first); err != nil {
			t.Fatal(err)
		}
		before := first.holders()
		if !first.Results.Healthy || len(before) != 10 {
			t.Fatalf("at first: %+v", first)
		}
		spare := ""
		for i := range 11 {
			if id := fmt.Sprintf("v0-server%d", i); !slices.Contains(before, id) {
				spare = id
			}
		}
		net.Host(strings.TrimPrefix(before[3], "v0-")).Crash()
		var r struct {
			Attempted  bool    `json:"repair-attempted"`
			Successful bool    `json:"repair-successful"`
			Before     checked `json:"pre-repair-results"`
			After      checked `json:"post-repair-results"`
		}
		if err := json.Unmarshal([]byte(ask(t, b, "POST", root+"?t=check&repair=true&output=JSON", "")), &r); err != nil {
			t.Fatal(err)
		}
		after := r.After.holders()
		if !r.Attempted || !r.Successful || r.Before.Results.Healthy || r.Before.Results.Good != 9 || !r.After.Results.Healthy || r.After.Results.Good != 10 ||
			r.After.Results.Hosts != 10 || r.After.Results.Unrecoverable != 0 || r.After.Results.Recoverable != 1 {
			t.Errorf("the repair: %+v", r)
		}
		if !slices.Contains(after, spare) || slices.Contains(after, before[3]) {
			t.Errorf("the shares are on %v, and were on %v", after, before)
		}
		for name := range r.After.Results.Sharemap {
			version, _, _ := strings.Cut(name, "-sh")
			if _, same := first.Results.Sharemap[name]; !same {
				t.Errorf("the version became %s", version)
			}
		}
		// They know the list of before.
		ask(t, c, "PUT", root+"/two", "2")
		ask(t, a, "PUT", root+"/three", "3")
		for _, h := range clients {
			for _, name := range []string{"one", "two", "three"} {
				ask(t, h, "GET", root+"/"+name, "")
			}
		}
		time.Sleep(time.Minute)
		again := ask(t, a, "POST", root+"?t=check&repair=true&output=JSON", "")
		if !strings.Contains(again, `"repair-attempted":false`) || !strings.Contains(again, `"healthy":true`) {
			t.Errorf("again: %s", again)
		}
	})
}
