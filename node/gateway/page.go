package gateway

import (
	"bufio"
	"context"
	"fmt"
	"html/template"
	"iter"
	"net/http"
	"net/url"
	"strings"

	"lafs/node/dirnode"
	"lafs/shares/caps"
)

// pagePolicy is policy for pages that we write ourselves. They have no script
// and load nothing, but their links may be followed: from a page in a sandbox
// the browser would say that they come from another site.
const pagePolicy = "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"

var listing = template.Must(template.New("listing").Parse(`<!DOCTYPE html>
<html><head><meta charset="utf-8"><title>Directory</title>
<style>body { font-family: sans-serif } td { padding: 0 1em 0 0 } td.size { text-align: right }</style></head>
<body><h1>Directory</h1>
<p>{{if .Writable}}It can be changed with this cap.{{else}}It is read-only.{{end}}</p>
<table>
{{range .Rows}}<tr><td>{{.Kind}}</td><td class="size">{{.Size}}</td><td>{{if .Link}}<a href="{{.Link}}">{{.Name}}</a>{{else}}{{.Name}}{{end}}</td></tr>
{{else}}<tr><td>It is empty.</td></tr>
{{end}}</table>
{{if .Damaged}}<p>{{.Damaged}} more entries are damaged and can't be shown.</p>{{end}}
</body></html>
`))

// A row is one child on the page of a directory.
type row struct{ Kind, Size, Name, Link string }

// page answers with a page that lists a directory for a person.
func (g *gateway) page(w http.ResponseWriter, r *http.Request, dir *caps.Directory, o *object) error {
	l, err := g.list(r.Context(), dir)
	if err != nil {
		return err
	}
	base := strings.TrimSuffix(r.URL.EscapedPath(), "/") + "/"
	rows := func(yield func(row) bool) {
		for _, e := range l.Entries {
			if !yield(newRow(base, e)) {
				return
			}
		}
	}
	w.Header().Set("Content-Security-Policy", pagePolicy)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	return g.stream(w, func(out *bufio.Writer) error {
		return listing.Execute(out, struct {
			Writable bool
			Rows     iter.Seq[row]
			Damaged  int
		}{o.Write != nil, rows, len(l.Damaged)})
	})
}

func newRow(base string, e dirnode.Entry) row {
	out := row{Kind: "unknown", Name: e.Name}
	if !e.Child.Known() {
		return out
	}
	// Browsers take dots for a way up.
	if !strings.Contains(e.Name, "/") && e.Name != "." && e.Name != ".." {
		out.Link = base + url.PathEscape(e.Name)
	}
	if e.Child.IsDirectory() {
		out.Kind = "directory"
		return out
	}
	out.Kind = "file"
	if e.Child.Cap().Kind().Mutable() {
		out.Kind = "mutable file"
	}
	if size, ok := sizeOf(e.Child.Cap()); ok {
		out.Size = fmt.Sprint(size)
	}
	return out
}

// about answers t=info with what is known of an object, a line for each.
func (g *gateway) about(w http.ResponseWriter, ctx context.Context, o *object) error {
	kind, d := describe(o.Child)
	if d.Size == nil {
		d.Size = g.mutableSize(ctx, o.Cap())
	}
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s: %s\n", name, value)
		}
	}
	line("kind", kind)
	if o.Known() {
		line("format", formatOf(o.Cap()))
	}
	if d.Size != nil {
		line("size", fmt.Sprint(*d.Size))
	}
	line("storage index", indexOf(o.Cap()))
	line("write cap", d.Write)
	line("read cap", d.ReadOnly)
	line("verify cap", d.Verify)
	return writeText(w, b.String())
}

// indexOf is the storage index of what a cap names, "" if it has none.
func indexOf(c caps.Cap) string {
	if c == nil || c.Verifier() == nil {
		return ""
	}
	c = c.Verifier()
	if d, ok := c.(*caps.Directory); ok {
		c = d.File()
	}
	switch v := c.(type) {
	case *caps.CHKVerifier:
		return v.Index.String()
	case *caps.MutableVerifier:
		return v.Index.String()
	}
	return ""
}
