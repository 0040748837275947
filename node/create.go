package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"lafs/node/durable"
)

// CreateOptions say what node to create. The zero value is a client with the
// defaults and no introducer. Paths may be relative to the process's own
// directory; they are written down absolute.
type CreateOptions struct {
	// Introducer makes an introducer, which has no other role; Storage a
	// storage server, which is a client too.
	Introducer, Storage bool
	// Nickname is announced to everybody; empty is best.
	Nickname string
	// Introducers are FURLs, secrets.
	Introducers []string
	// Needed, Happy and Total are k, happy and N; 0 is the default.
	Needed, Happy, Total int
	// WebPort is as [node] web.port, "" the default and "none" for none.
	WebPort string
	// TorMode, TorExecutable and TorFragment are as in TorConfig.
	TorMode, TorExecutable, TorFragment string
	// StorageDir is where shares go, "" for inside the node directory.
	StorageDir string
	// ReservedSpace is in bytes; nil is the default.
	ReservedSpace *int64
}

// Create makes a node directory and all of its keys, durable on return. It
// refuses a directory that is not empty, and checks everything before it
// makes anything. An introducer's FURLs exist when it returns.
func Create(dir string, o CreateOptions) (*Config, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("find node directory: %w", err)
	}
	d := Dir(abs)
	if err := refuseUsed(d); err != nil {
		return nil, err
	}
	text, err := o.configText()
	if err != nil {
		return nil, err
	}
	if _, err := ParseConfig(d, text); err != nil {
		return nil, err
	}
	peers, err := introducersText(o.Introducers)
	if err != nil {
		return nil, err
	}
	if err := d.prepare(); err != nil {
		return nil, err
	}
	if peers != nil {
		if err := durable.WriteFile(d.IntroducersFile(), peers, fileMode); err != nil {
			return nil, fmt.Errorf("write private/introducers.yaml: %w", err)
		}
	}
	if err := durable.WriteFile(d.ConfigFile(), text, fileMode); err != nil {
		return nil, fmt.Errorf("write tahoe.cfg: %w", err)
	}
	return Load(abs)
}

func refuseUsed(d Dir) error {
	entries, err := os.ReadDir(string(d))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("look at node directory: %w", err)
	case slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == filepath.Base(d.ConfigFile()) }):
		return fmt.Errorf("there is a node in %s already; start that one, or name another directory", d)
	case len(entries) > 0 && !d.begunOnly(entries):
		return fmt.Errorf("the directory %s is not empty: name one that is, or one that does not exist", d)
	}
	return nil
}

// begunOnly says that a directory with these entries holds what a Create that
// failed at once, as on a full disk, leaves, and nothing else.
func (d Dir) begunOnly(entries []fs.DirEntry) bool {
	for _, e := range entries {
		switch e.Name() {
		case filepath.Base(d.format()):
		case "private":
			if inside, err := os.ReadDir(d.path("private")); err != nil || len(inside) > 0 {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// configText writes tahoe.cfg, in which a person will look for what can be
// set.
func (o *CreateOptions) configText() ([]byte, error) {
	w := &configWriter{}
	w.section("node")
	w.key("nickname", o.Nickname)
	if !o.Introducer {
		w.key("web.port", or(o.WebPort, DefaultWebPort))
	}
	w.section("tor")
	w.comment("launch, system, control=ADDR, socks=ADDR or auto: see lafs help tor")
	w.key("mode", or(o.TorMode, DefaultTorMode))
	if o.TorExecutable != "" {
		w.key("tor.executable", o.TorExecutable)
	}
	if o.TorFragment != "" {
		w.path("torrc_fragment", o.TorFragment)
	}
	if o.Introducer {
		w.section("introducer")
		w.key("enabled", "true")
	} else {
		w.section("client")
		w.comment("Any needed of a file's total shares rebuild it; an upload must reach happy distinct servers.")
		w.key("shares.needed", number(o.Needed, DefaultNeeded))
		w.key("shares.happy", number(o.Happy, DefaultHappy))
		w.key("shares.total", number(o.Total, DefaultTotal))
	}
	if !o.Introducer || o.Storage {
		w.section("storage")
		w.key("enabled", strconv.FormatBool(o.Storage))
	}
	if o.Storage {
		space := int64(DefaultReservedSpace)
		if o.ReservedSpace != nil {
			space = *o.ReservedSpace
		}
		w.key("reserved_space", strconv.FormatInt(space, 10))
		if o.StorageDir != "" {
			w.path("storage_dir", o.StorageDir)
		}
	}
	if w.err != nil {
		return nil, w.err
	}
	return []byte(w.text.String()), nil
}

// configWriter writes sections and keys, and keeps its first error.
type configWriter struct {
	text strings.Builder
	err  error
}

func (w *configWriter) section(name string) {
	if w.text.Len() > 0 {
		w.text.WriteByte('\n')
	}
	w.text.WriteString("[" + name + "]\n")
}

func (w *configWriter) comment(text string) { w.text.WriteString("# " + text + "\n") }

func (w *configWriter) key(name, value string) {
	// A line break would begin a setting that nobody asked for.
	if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		w.err = errors.Join(w.err, fmt.Errorf("%s: control characters are not allowed", name))
	}
	w.text.WriteString(name + " = " + value + "\n")
}

func (w *configWriter) path(name, value string) {
	abs, err := filepath.Abs(value)
	w.err = errors.Join(w.err, err)
	w.key(name, abs)
}

func or(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}

func number(n, fallback int) string {
	if n == 0 {
		n = fallback
	}
	return strconv.Itoa(n)
}
