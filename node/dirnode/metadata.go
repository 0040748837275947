package dirnode

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// Metadata are what a link says of itself: the text of a JSON object, kept as
// it was written. Keys are the user's, except tahoe, which the system keeps:
// linkcrtime and linkmotime, the times at which the link was made and last
// changed, in seconds since 1970. Nil stands for none given.
type Metadata json.RawMessage

// MarshalJSON returns the object.
func (m Metadata) MarshalJSON() ([]byte, error) {
	if m == nil {
		return []byte("{}"), nil
	}
	return m, nil
}

// check refuses what is not one JSON object.
func (m Metadata) check() error {
	if text := bytes.TrimLeft(m, " \t\r\n"); len(text) == 0 || text[0] != '{' || !json.Valid(m) {
		return ErrMetadata
	}
	return nil
}

// NoWrite reports whether the link is to be read-only whatever its cap can
// do: the key no-write holds anything but false, null, zero or empty.
func (m Metadata) NoWrite() bool {
	// Nearly no link has the key, and it can only be hidden by an escape.
	if !bytes.Contains(m, []byte("no-write")) && !bytes.Contains(m, []byte(`\u`)) {
		return false
	}
	o, err := parseObject(m)
	if err != nil {
		return false
	}
	value, ok := o.get("no-write")
	if !ok {
		return false
	}
	var v any
	if json.Unmarshal(value, &v) != nil {
		return true
	}
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case float64:
		return v != 0
	case string:
		return v != ""
	case []any:
		return len(v) != 0
	case map[string]any:
		return len(v) != 0
	}
	return true
}

// LinkTimes returns the times that the system keeps, in seconds since 1970; 0
// where there is none.
func (m Metadata) LinkTimes() (made, changed float64) {
	var o struct {
		Tahoe struct{ Linkcrtime, Linkmotime float64 }
	}
	if json.Unmarshal(m, &o) != nil {
		return 0, 0
	}
	return o.Tahoe.Linkcrtime, o.Tahoe.Linkmotime
}

// update returns the metadata of a link that is set at a time: old are those
// of the link that stood there, fresh those that the user gives, each nil if
// there are none. What the user gives replaces all but tahoe.
func update(old, fresh Metadata, now time.Time) (Metadata, error) {
	was, err := parseObject(old)
	if err != nil {
		return nil, err
	}
	all := was
	if fresh != nil {
		if all, err = parseObject(fresh); err != nil {
			return nil, err
		}
		all.drop("tahoe")
	}
	// What is no object there cannot be the system's.
	system, ok := was.get("tahoe")
	times, err := parseObject(Metadata(system))
	if !ok || err != nil {
		times = newObject()
	}
	if _, ok := times.get("linkcrtime"); !ok {
		made := seconds(now)
		// Until 1.4 Tahoe called it ctime and kept it among the user's.
		if ctime, ok := was.get("ctime"); ok {
			made = ctime
		}
		times.set("linkcrtime", made)
	}
	times.set("linkmotime", seconds(now))
	all.set("tahoe", times.append(nil))
	return all.append(nil), nil
}

// seconds writes a time as Python writes a float.
func seconds(t time.Time) []byte {
	text := strconv.AppendFloat(nil, float64(t.UnixMicro())/1e6, 'f', -1, 64)
	if !bytes.Contains(text, []byte(".")) {
		text = append(text, ".0"...)
	}
	return text
}

// An object is a JSON object whose keys keep their order, and whose keys and
// values keep their text.
type object struct {
	fields []field
	index  map[string]int
}

type field struct {
	name       string
	key, value []byte // value nil: dropped
}

// parseObject reads the text of one object; nil is an empty one.
func parseObject(text Metadata) (*object, error) {
	o := newObject()
	if text == nil {
		return o, nil
	}
	if err := text.check(); err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	if _, err := d.Token(); err != nil { // The brace.
		return nil, ErrMetadata
	}
	for d.More() {
		from := d.InputOffset()
		token, err := d.Token()
		if err != nil {
			return nil, ErrMetadata
		}
		name, ok := token.(string)
		if !ok {
			return nil, ErrMetadata
		}
		key := bytes.TrimLeft(text[from:d.InputOffset()], " \t\r\n,")
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, fmt.Errorf("%w: it is nested too deep", ErrMetadata)
		}
		o.put(field{name, key, value})
	}
	return o, nil
}

func newObject() *object { return &object{index: make(map[string]int)} }

func (o *object) get(name string) (value []byte, ok bool) {
	i, ok := o.index[name]
	if !ok {
		return nil, false
	}
	return o.fields[i].value, true
}

// put keeps the last of several values at the place of the first.
func (o *object) put(f field) {
	if i, ok := o.index[f.name]; ok {
		o.fields[i].value = f.value
		return
	}
	o.index[f.name] = len(o.fields)
	o.fields = append(o.fields, f)
}

func (o *object) set(name string, value []byte) {
	o.put(field{name, strconv.AppendQuote(nil, name), value})
}

func (o *object) drop(name string) {
	if i, ok := o.index[name]; ok {
		o.fields[i].value = nil
		delete(o.index, name)
	}
}

// append writes the object with the spaces that Tahoe-LAFS writes.
func (o *object) append(dst []byte) []byte {
	dst = append(dst, '{')
	empty := len(dst)
	for _, f := range o.fields {
		if f.value == nil {
			continue
		}
		if len(dst) > empty {
			dst = append(dst, ", "...)
		}
		dst = append(dst, f.key...)
		dst = append(dst, ": "...)
		dst = append(dst, f.value...)
	}
	return append(dst, '}')
}
