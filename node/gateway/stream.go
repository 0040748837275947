package gateway

import (
	"bufio"
	"encoding/json"
	"net/http"

	"lafs/node/dirnode"
	"lafs/shares/caps"
)

// stream answers with what write writes, as it is written: what a directory
// of many entries holds is in memory once already, and shall not be there in
// a second form. An error after the first bytes breaks the connection: so the
// caller does not take a part for the whole.
func (g *gateway) stream(w http.ResponseWriter, write func(*bufio.Writer) error) error {
	out := &answer{w: w, rc: http.NewResponseController(w), status: http.StatusOK, idle: g.cfg.Idle}
	b := bufio.NewWriterSize(out, 32<<10)
	err := write(b)
	if err == nil {
		err = b.Flush()
	}
	switch {
	case err == nil:
		return nil
	case out.begun:
		panic(http.ErrAbortHandler)
	}
	clear(w.Header())
	setHeaders(w.Header())
	return err
}

// describeAll writes the description of a directory and of its children.
func describeAll(out *bufio.Writer, dir *caps.Directory, l *dirnode.Listing) error {
	c, _ := dirnode.NewChild(dir)
	kind, d := describe(c)
	out.WriteString(`["` + kind + `",{"children":{`)
	for i, e := range l.Entries {
		if i > 0 {
			out.WriteByte(',')
		}
		if err := describeEntry(out, e); err != nil {
			return err
		}
	}
	text, err := json.Marshal(d)
	if err != nil {
		return err
	}
	// A directory has a read cap at least, so that more follows.
	out.WriteString("},")
	out.Write(text[1:])
	_, err = out.WriteString("]\n")
	return err
}

// describeEntry writes one child, behind its name.
func describeEntry(out *bufio.Writer, e dirnode.Entry) error {
	kind, child := describe(e.Child)
	child.Metadata = linkJSON(e.Metadata)
	name, err := json.Marshal(e.Name)
	if err != nil {
		return err
	}
	text, err := json.Marshal(described{kind, child})
	if err != nil {
		return err
	}
	out.Write(name)
	out.WriteByte(':')
	_, err = out.Write(text) // says what the writes before have met
	return err
}
