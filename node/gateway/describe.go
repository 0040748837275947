package gateway

import (
	"encoding/json"
	"io"
	"net/http"

	"lafs/node/dirnode"
	"lafs/shares/caps"
)

// An object is what a request's target turned out to be: a child, with the
// rights that the way to it gives.
type object struct {
	dirnode.Child
	// metadata are the link's, and linked tells whether there was one.
	metadata dirnode.Metadata
	linked   bool
	// via are the directories on the way.
	via []*caps.Directory
}

// directory returns the cap of a directory that can be listed.
func (o *object) directory() (*caps.Directory, bool) {
	d, ok := o.Cap().(*caps.Directory)
	return d, ok
}

// A nodeJSON is Tahoe's description of a file, a directory or what is neither
// (TAHOE.md, "Web API"). Secret.
type nodeJSON struct {
	ReadOnly string          `json:"ro_uri,omitempty"`
	Write    string          `json:"rw_uri,omitempty"`
	Verify   string          `json:"verify_uri,omitempty"`
	Size     *int64          `json:"size,omitempty"`
	Mutable  *bool           `json:"mutable,omitempty"`
	Format   string          `json:"format,omitempty"`
	Metadata json.RawMessage `json:"metadata,omitempty"`
}

// A described is a word for the kind, and the description.
type described [2]any

// describe is what the caps of c tell of it. Without asking a server the size
// of a mutable file is not known.
func describe(c dirnode.Child) (kind string, d *nodeJSON) {
	d = &nodeJSON{Write: reveal(c.Write), ReadOnly: reveal(c.Read)}
	if !c.Known() {
		return "unknown", d
	}
	if d.Verify = reveal(c.Cap().Verifier()); d.Verify == d.ReadOnly {
		d.ReadOnly = "" // A verify cap, which reads nothing.
	}
	changes := c.Cap().Kind().Mutable()
	d.Mutable = &changes
	if c.IsDirectory() {
		return "dirnode", d
	}
	d.Format = formatOf(c.Cap())
	if size, ok := sizeOf(c.Cap()); ok {
		d.Size = &size
	}
	return "filenode", d
}

// formatOf is Tahoe's word for how a file, or what a directory is kept in, is
// stored.
func formatOf(c caps.Cap) string {
	if d, ok := c.(*caps.Directory); ok {
		c = d.File()
	}
	switch c.Kind() {
	case caps.KindMDMF, caps.KindMDMFReader, caps.KindMDMFVerifier:
		return "MDMF"
	case caps.KindSSK, caps.KindSSKReader, caps.KindSSKVerifier:
		return "SDMF"
	}
	return "CHK"
}

// sizeOf is the size that a cap tells.
func sizeOf(c caps.Cap) (size int64, ok bool) {
	switch c := c.(type) {
	case *caps.CHK:
		return c.Size, true
	case *caps.CHKVerifier:
		return c.Size, true
	case *caps.LIT:
		return c.Size(), true
	}
	return 0, false
}

func reveal(c caps.Cap) string {
	if c == nil {
		return ""
	}
	return c.Reveal()
}

// linkJSON is a link's metadata in a description. Programs rely on the key
// tahoe, which links made long ago don't have.
func linkJSON(m dirnode.Metadata) json.RawMessage {
	var o map[string]json.RawMessage
	if json.Unmarshal(m, &o) != nil || o == nil {
		o = map[string]json.RawMessage{}
	}
	var times map[string]json.RawMessage
	if json.Unmarshal(o["tahoe"], &times) == nil && times != nil {
		return json.RawMessage(m)
	}
	times = map[string]json.RawMessage{}
	for old, now := range map[string]string{"ctime": "linkcrtime", "mtime": "linkmotime"} {
		if at, ok := o[old]; ok {
			times[now] = at
		}
	}
	o["tahoe"], _ = json.Marshal(times)
	text, _ := json.Marshal(o)
	return text
}

// writeJSON answers with v.
func writeJSON(w http.ResponseWriter, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(append(text, '\n'))
	return nil
}

// writeText answers with a line of text.
func writeText(w http.ResponseWriter, text string) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	io.WriteString(w, text)
	return nil
}
