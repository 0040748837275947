package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"lafs/node/dirnode"
	"lafs/shares/caps"
	"lafs/shares/hashes"
	"lafs/shares/immutable"
)

// A fakeGrid answers the web API (TAHOE.md) out of memory, so that the
// commands can be tested against what a real grid seldom gives: hostile
// names, lost files, slow answers.
type fakeGrid struct {
	mu      sync.Mutex
	objects map[string]*fakeObject // by each of their caps
	lost    map[string]bool        // caps of files that cannot be read
	puts    int                    // files taken
	changes int                    // changes of directories, without making them
	hold    chan struct{}          // if set, files in and out wait, but for
	free    int                    // the next so many
	held    int                    // how many wait
	linked  time.Time
}

type fakeObject struct {
	cap      caps.Cap
	data     []byte
	children map[string]string // cap by name; nil: a file
	unknown  bool
}

func newFakeGrid() *fakeGrid {
	return &fakeGrid{objects: map[string]*fakeObject{}, lost: map[string]bool{}, linked: time.Unix(1e9, 0)}
}

func (g *fakeGrid) add(o *fakeObject) string {
	g.objects[o.cap.Reveal()] = o
	g.objects[o.cap.ReadOnly().Reveal()] = o
	return o.cap.Reveal()
}

func newSlot(mdmf bool) *caps.MutableWriter {
	var key [16]byte
	var print hashes.Hash
	rand.Read(key[:])
	rand.Read(print[:])
	return &caps.MutableWriter{Key: caps.NewWriteKey(key), Fingerprint: print, MDMF: mdmf}
}

func (g *fakeGrid) newDir() string {
	d, err := caps.NewDirectory(newSlot(false))
	if err != nil {
		panic(err)
	}
	return g.add(&fakeObject{cap: d, children: map[string]string{}})
}

func (g *fakeGrid) newFile(data []byte, mutable, mdmf bool) string {
	g.puts++
	switch {
	case mutable:
		return g.add(&fakeObject{cap: newSlot(mdmf), data: data})
	case len(data) <= immutable.LITThreshold:
		return g.add(&fakeObject{cap: caps.NewLIT(data), data: data})
	}
	return g.add(&fakeObject{cap: encodeFile(data, 0), data: data})
}

// encodeFile returns the cap that a client with a fixed convergence secret
// would give a file, with segments of at most so many bytes.
func encodeFile(data []byte, segment int64) *caps.CHK {
	p := immutable.Params{Needed: 2, Total: 3, MaxSegmentSize: segment}
	keyer, err := immutable.NewKeyer(p, int64(len(data)), immutable.NewConvergenceSecret([]byte("of the tests")))
	if err != nil {
		panic(err)
	}
	keyer.Write(data)
	key, err := keyer.Key()
	if err != nil {
		panic(err)
	}
	enc, err := immutable.NewEncoder(p, int64(len(data)), key)
	if err != nil {
		panic(err)
	}
	for left := data; len(left) > 0; {
		n := min(int64(len(left)), enc.SegmentSize())
		if _, err := enc.Encode(left[:n]); err != nil {
			panic(err)
		}
		left = left[n:]
	}
	_, c, err := enc.Finish()
	if err != nil {
		panic(err)
	}
	return c
}

// A fakeError is an answer that is no success.
type fakeError struct {
	status int
	text   string
}

func (e *fakeError) Error() string { return e.text }

var (
	errNoChild   = &fakeError{404, "no such child"}
	errNoWriting = &fakeError{403, "this cap only reads"}
	errInTheWay  = &fakeError{409, "a directory is in the way"}
)

func (g *fakeGrid) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, "cut", 400)
		return
	}
	if g.wait(r) != nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	out, err := g.answer(r, body)
	if e, ok := errors.AsType[*fakeError](err); ok {
		http.Error(w, e.text, e.status)
		return
	}
	if err != nil {
		http.Error(w, err.Error(), 500)
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(out)))
	w.Header().Set("Accept-Ranges", "bytes")
	w.Write(out)
}

// wait holds files back once there are enough.
func (g *fakeGrid) wait(r *http.Request) error {
	g.mu.Lock()
	hold := g.hold
	data := r.Method == "PUT" || r.Method == "GET" && !r.URL.Query().Has("t")
	if data {
		g.free--
	}
	if !data || g.free >= 0 {
		hold = nil
	}
	if hold != nil {
		g.held++
	}
	g.mu.Unlock()
	if hold == nil {
		return nil
	}
	select {
	case <-hold:
		return nil
	case <-r.Context().Done():
		return r.Context().Err()
	}
}

func (g *fakeGrid) answer(r *http.Request, body []byte) ([]byte, error) {
	q := r.URL.Query()
	rest := strings.TrimPrefix(strings.TrimPrefix(r.URL.EscapedPath(), "/uri"), "/")
	if rest == "" {
		return g.unlinked(r.Method, q, body)
	}
	parts := strings.Split(strings.TrimSuffix(rest, "/"), "/")
	for i := range parts {
		var err error
		if parts[i], err = url.PathUnescape(parts[i]); err != nil {
			return nil, err
		}
	}
	cap, names := parts[0], parts[1:]
	switch r.Method + " " + q.Get("t") {
	case "GET ", "GET json", "GET uri":
		return g.get(cap, names, q.Get("t"))
	case "POST mkdir":
		return g.mkdir(cap, names)
	case "POST check":
		return g.check(cap, names, q)
	case "POST set_children":
		return nil, g.setChildren(cap, names, body)
	case "POST relink":
		return nil, g.relink(cap, names, q)
	case "PUT ":
		return g.put(cap, names, q, body)
	case "PUT uri":
		return body, g.link(cap, names, string(body), q.Get("replace"))
	case "DELETE ":
		return g.remove(cap, names)
	}
	return nil, &fakeError{400, "bad t"}
}

func (g *fakeGrid) unlinked(method string, q url.Values, body []byte) ([]byte, error) {
	switch {
	case method == "POST" && q.Get("t") == "mkdir":
		return []byte(g.newDir()), nil
	case method == "PUT":
		f := q.Get("format")
		return []byte(g.newFile(body, f == "SDMF" || f == "MDMF" || q.Get("mutable") == "true", f == "MDMF")), nil
	}
	return nil, &fakeError{400, "bad request"}
}

// walk finds an object, and whether the caps on the way let it be written.
func (g *fakeGrid) walk(cap string, names []string) (o *fakeObject, best string, err error) {
	for i := 0; ; i++ {
		if o = g.objects[cap]; o == nil {
			return nil, "", &fakeError{400, "no such cap"}
		}
		if i == len(names) {
			return o, cap, nil
		}
		child, ok := o.children[names[i]]
		if !ok {
			return nil, "", errNoChild
		}
		if !o.writes(cap) {
			c, err := caps.Parse(child)
			if err != nil {
				return nil, "", err
			}
			child = c.ReadOnly().Reveal()
		}
		cap = child
	}
}

func (o *fakeObject) writes(cap string) bool { return o.cap.Reveal() == cap }

// directory finds the directory that a path's last name is in, to change it.
func (g *fakeGrid) directory(cap string, names []string, make bool) (*fakeObject, error) {
	o, best, err := g.walk(cap, names)
	if err == errNoChild && make {
		parent, perr := g.directory(cap, names[:len(names)-1], true)
		if perr != nil {
			return nil, perr
		}
		parent.children[names[len(names)-1]] = g.newDir()
		return g.directory(cap, names, false)
	}
	if err != nil {
		return nil, err
	}
	if o.children == nil || !o.writes(best) {
		return nil, errNoWriting
	}
	return o, nil
}

func (g *fakeGrid) get(cap string, names []string, t string) ([]byte, error) {
	o, best, err := g.walk(cap, names)
	if err != nil {
		return nil, err
	}
	switch {
	case t == "json":
		return json.Marshal(g.describe(o, best, true))
	case t == "uri":
		return []byte(best), nil
	case o.children != nil:
		return nil, &fakeError{400, "a directory has no bytes"}
	case g.lost[best]:
		return nil, &fakeError{410, "found 1 of 2 good shares"}
	}
	return o.data, nil
}

func (g *fakeGrid) describe(o *fakeObject, cap string, whole bool) entry {
	e := entry{kind: kindFile}
	e.ROURI, e.Mutable = o.cap.ReadOnly().Reveal(), o.cap.Kind().Mutable()
	if e.Mutable && o.writes(cap) {
		e.RWURI = cap
	}
	e.Metadata = json.RawMessage(fmt.Sprintf(`{"tahoe":{"linkcrtime":%d}}`, g.linked.Unix()))
	if o.unknown {
		e.kind = "unknown"
		return e
	}
	if o.children == nil {
		size := int64(len(o.data))
		e.Size = &size
		return e
	}
	e.kind = kindDirectory
	if whole {
		e.Children = map[string]entry{}
		for name := range o.children {
			child, best, err := g.walk(cap, []string{name})
			if err == nil {
				e.Children[name] = g.describe(child, best, false)
			}
		}
	}
	return e
}

func (g *fakeGrid) mkdir(cap string, names []string) ([]byte, error) {
	o, best, err := g.walk(cap, names)
	if err == errNoChild {
		g.changes++
		if o, err = g.directory(cap, names, true); err == nil {
			best = o.cap.Reveal()
		}
	}
	if err == nil && o.children == nil {
		err = &fakeError{409, "a file is in the way"}
	}
	return []byte(best), err
}

func (g *fakeGrid) put(cap string, names []string, q url.Values, body []byte) ([]byte, error) {
	o, best, err := g.walk(cap, names)
	if err == nil && o.children == nil && o.cap.Kind().Mutable() {
		if !o.writes(best) {
			return nil, errNoWriting
		}
		g.puts++
		o.data = bytes.Clone(body)
		return []byte(best), nil
	}
	if len(names) == 0 {
		return nil, &fakeError{400, "that cannot be changed"}
	}
	new, err := g.unlinked("PUT", q, body)
	if err != nil {
		return nil, err
	}
	return new, g.link(cap, names, string(new), q.Get("replace"))
}

func (g *fakeGrid) link(cap string, names []string, child, replace string) error {
	last := len(names) - 1
	dir, err := g.directory(cap, names[:last], true)
	if err != nil {
		return err
	}
	g.changes++
	return g.set(dir, names[last], child, replace)
}

func (g *fakeGrid) set(dir *fakeObject, name, child, replace string) error {
	if g.objects[child] == nil {
		return &fakeError{400, "no such cap"}
	}
	if _, err := dirnode.Normalize(name); err != nil {
		return &fakeError{400, err.Error()}
	}
	if old := g.objects[dir.children[name]]; old != nil && old.children != nil && replace == "only-files" {
		return errInTheWay
	}
	dir.children[name] = child
	return nil
}

func (g *fakeGrid) setChildren(cap string, names []string, body []byte) error {
	dir, err := g.directory(cap, names, false)
	if err != nil {
		return err
	}
	var children map[string]entry
	if err := json.Unmarshal(body, &children); err != nil {
		return err
	}
	g.changes++
	for name, e := range children {
		if err := g.set(dir, name, e.cap(), "only-files"); err != nil {
			return err
		}
	}
	return nil
}

func (g *fakeGrid) relink(cap string, names []string, q url.Values) error {
	from, err := g.directory(cap, names, false)
	if err != nil {
		return err
	}
	to := from
	if q.Has("to_dir") {
		parts := strings.Split(q.Get("to_dir"), "/")
		if to, err = g.directory(parts[0], parts[1:], false); err != nil {
			return err
		}
	}
	child, ok := from.children[q.Get("from_name")]
	if !ok {
		return errNoChild
	}
	if err := g.set(to, q.Get("to_name"), child, q.Get("replace")); err != nil {
		return err
	}
	delete(from.children, q.Get("from_name"))
	g.changes++
	return nil
}

func (g *fakeGrid) remove(cap string, names []string) ([]byte, error) {
	last := len(names) - 1
	dir, err := g.directory(cap, names[:last], false)
	if err != nil {
		return nil, err
	}
	old, ok := dir.children[names[last]]
	if !ok {
		return nil, errNoChild
	}
	delete(dir.children, names[last])
	g.changes++
	return []byte(old), nil
}

func (g *fakeGrid) check(cap string, names []string, q url.Values) ([]byte, error) {
	o, best, err := g.walk(cap, names)
	if err != nil {
		return nil, err
	}
	if o.cap.Kind() == caps.KindLIT {
		return []byte(`{"storage-index":"","results":{"healthy":true}}`), nil
	}
	good := 3
	if g.lost[best] {
		good = 1
	}
	before := fmt.Sprintf(`{"storage-index":"abcd","summary":"Healthy\u001b[2J","results":{"healthy":%t,"count-shares-good":%d,`+
		`"count-shares-needed":2,"count-shares-expected":3,"count-wrong-shares":0,"list-corrupt-shares":[["v0-x","abcd",1]]}}`, good == 3, good)
	if q.Get("repair") != "true" {
		return []byte(before), nil
	}
	return fmt.Appendf(nil, `{"storage-index":"abcd","repair-attempted":%t,"repair-successful":false,"pre-repair-results":%s,"post-repair-results":%s}`,
		good != 3, before, before), nil
}
