package gateway_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"lafs/node/dirnode"
	"lafs/node/gateway"
	"lafs/shares/caps"
	"lafs/shares/hashes"
	"lafs/shares/mutable"
)

// objects are mutable files in memory, and immutable ones in a fake grid.
type objects struct {
	grid     *fake
	mu       sync.Mutex
	contents map[caps.StorageIndex][]byte
	serial   uint64
	fail     error // what every call fails with
	reads    int
}

func index(c caps.Cap) caps.StorageIndex {
	return c.(interface{ StorageIndex() caps.StorageIndex }).StorageIndex()
}

var errLost = &gateway.Error{Status: http.StatusGone, Err: errors.New("found 0 good shares of 3")}

func (o *objects) get(c caps.Cap) ([]byte, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.reads++
	data, ok := o.contents[index(c)]
	switch {
	case o.fail != nil:
		return nil, o.fail
	case !ok:
		return nil, errLost
	}
	return data, nil
}

func (o *objects) Read(ctx context.Context, c caps.Cap) ([]byte, error) {
	switch c.(type) {
	case *caps.MutableReader, *caps.MutableWriter:
		return o.get(c)
	}
	f, err := o.grid.Open(ctx, c)
	if err != nil {
		return nil, err
	}
	return f.(*file).data, nil
}

func (o *objects) ReadRange(_ context.Context, c caps.Cap, offset, length int64) ([]byte, int64, error) {
	data, err := o.get(c)
	size := int64(len(data))
	offset = min(offset, size)
	return data[offset:min(size, offset+length)], size, err
}

func (o *objects) Modify(_ context.Context, w *caps.MutableWriter, change func([]byte) ([]byte, error)) error {
	base, err := o.get(w)
	if err != nil {
		return err
	}
	// It may run twice.
	if _, err := change(bytes.Clone(base)); err != nil {
		return err
	}
	next, err := change(bytes.Clone(base))
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.contents[index(w)] = next
	return nil
}

func (o *objects) Create(_ context.Context, opts dirnode.CreateOptions, content func(*caps.MutableWriter) ([]byte, error)) (*caps.MutableWriter, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.serial++
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(nil, o.serial))
	w := &caps.MutableWriter{Key: caps.NewWriteKey([16]byte(sum[:16])), Fingerprint: hashes.Hash(sum), MDMF: opts.MDMF}
	if opts.Key != nil {
		format := mutable.SDMF
		if opts.MDMF {
			format = mutable.MDMF
		}
		w = opts.Key.WriteCap(format)
	}
	data, err := content(w)
	if err == nil {
		err = o.fail
	}
	if err != nil {
		return nil, err
	}
	o.contents[index(w)] = bytes.Clone(data)
	return w, nil
}

func (o *objects) Put(ctx context.Context, content []byte) (caps.Cap, error) {
	if len(content) <= 55 {
		return caps.NewLIT(content), nil
	}
	return o.grid.Upload(ctx, &source{content, o.grid}, nil)
}

// clock is the time at which all links of these tests are made.
var clock = time.Unix(1000000000, 0)

// A tree is a gateway with directories.
type tree struct {
	*node
	objects *objects
	// root is the path of a directory, and cap its write cap.
	root, cap string
}

func plant(t *testing.T, change func(*gateway.Config)) *tree {
	t.Helper()
	o := &objects{contents: map[caps.StorageIndex][]byte{}}
	n := start(t, func(c *gateway.Config) {
		o.grid = c.Grid.(*fake)
		c.Tree, c.Mutables = dirnode.New(o, func() time.Time { return clock }), o
		if change != nil {
			change(c)
		}
	})
	tr := &tree{node: n, objects: o}
	tr.cap = tr.want(200, "POST", "/uri?t=mkdir", "")
	tr.root = "/uri/" + tr.cap
	return tr
}

// want sends a request and checks the status; it returns the body.
func (tr *tree) want(status int, method, target, body string, header ...string) string {
	tr.t.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	resp, text := tr.ask(method, target, r, header...)
	if resp.StatusCode != status {
		tr.t.Errorf("%s …%s: got %d %q, want %d", method, tail(target), resp.StatusCode, text, status)
	}
	return text
}

// tail is what stands behind the cap in a target.
func tail(target string) string { return target[max(0, len(target)-60):] }

// A description is what t=json tells.
type description struct {
	Kind                   string
	Children               map[string]description
	RO, RW, Verify, Format string
	Size                   *int64
	Mutable                *bool
	Metadata               map[string]any
}

func (d *description) UnmarshalJSON(text []byte) error {
	var v struct {
		Children map[string]description
		RO       string `json:"ro_uri"`
		RW       string `json:"rw_uri"`
		Verify   string `json:"verify_uri"`
		Format   string
		Size     *int64
		Mutable  *bool
		Metadata map[string]any
	}
	if err := json.Unmarshal(text, &[]any{&d.Kind, &v}); err != nil {
		return err
	}
	*d = description{d.Kind, v.Children, v.RO, v.RW, v.Verify, v.Format, v.Size, v.Mutable, v.Metadata}
	return nil
}

// json gets the description at a target.
func (tr *tree) json(target string) (d description) {
	tr.t.Helper()
	if err := json.Unmarshal([]byte(tr.want(200, "GET", target+"?t=json", "")), &d); err != nil {
		tr.t.Errorf("t=json: %v", err)
	}
	return d
}

// nameDots gives the child of the root that has this name, of two letters,
// the name .., as Tahoe-LAFS would.
func (tr *tree) nameDots(name string) {
	tr.objects.mu.Lock()
	defer tr.objects.mu.Unlock()
	for index, content := range tr.objects.contents {
		tr.objects.contents[index] = bytes.Replace(content, []byte("2:"+name+","), []byte("2:..,"), 1)
	}
}

// names lists a directory.
func (tr *tree) names(target string) map[string]bool {
	tr.t.Helper()
	out := map[string]bool{}
	for name := range tr.json(target).Children {
		out[name] = true
	}
	return out
}

const urlencoded = "Content-Type: application/x-www-form-urlencoded"

// esc escapes a cap for a query.
func esc(text string) string { return url.QueryEscape(text) }
