package node

import (
	"fmt"
	"path/filepath"
	"strings"

	"gopkg.in/ini.v1"

	"lafs/node/store"
)

// iniOptions make ini.v1 read what Python's configparser reads: no inline
// comments, no continuation by backslash, no quotes, keys in any case. Keys
// given twice are kept, so that they can be refused.
var iniOptions = ini.LoadOptions{
	InsensitiveKeys:            true,
	IgnoreContinuation:         true,
	IgnoreInlineComment:        true,
	PreserveSurroundedQuote:    true,
	AllowShadows:               true,
	AllowDuplicateShadowValues: true,
}

// A settingError names the file, the section and the key of a bad setting.
func settingError(section, key, format string, args ...any) error {
	return fmt.Errorf("tahoe.cfg: [%s] %s: %w", section, key, fmt.Errorf(format, args...))
}

// ParseConfig reads and checks the text of the tahoe.cfg in d. It does no
// I/O, so the Config has no keys and no peers but those of the text. Its
// errors name the file, the section and the key.
func ParseConfig(d Dir, text []byte) (*Config, error) {
	f, err := ini.LoadSources(iniOptions, text)
	if err != nil {
		return nil, fmt.Errorf("tahoe.cfg: %w", err)
	}
	c := defaults(d)
	raw := rawConfig{Config: c}
	for _, s := range f.Sections() {
		for _, k := range s.Keys() {
			if s.Name() == ini.DefaultSection {
				return nil, fmt.Errorf("tahoe.cfg: %q stands before the first [section]", k.Name())
			}
			values := k.ValueWithShadows()
			if len(values) > 1 {
				return nil, settingError(s.Name(), k.Name(), "given %d times", len(values))
			}
			if err := raw.set(s.Name(), k.Name(), strings.TrimSpace(k.Value())); err != nil {
				return nil, err
			}
		}
		if _, known := settings[s.Name()]; !known && s.Name() != ini.DefaultSection {
			return nil, unknownSection(s.Name())
		}
	}
	if err := raw.finish(); err != nil {
		return nil, err
	}
	return c, nil
}

func defaults(d Dir) *Config {
	return &Config{
		Dir: d, TempDir: d.path("tmp"), OnionPort: DefaultOnionPort,
		Needed: DefaultNeeded, Happy: DefaultHappy, Total: DefaultTotal,
		StorageDir: d.path("storage"), ReservedSpace: DefaultReservedSpace,
		Expire:  store.Expiry{Immutable: true, Mutable: true},
		keyFile: d.path("private", "tor_onion.privkey"),
	}
}

// rawConfig collects what only makes sense together.
type rawConfig struct {
	*Config
	mode, control, socks    string
	launch, publish, noOnly bool
	expire                  rawExpire
}

func (r *rawConfig) set(section, key, value string) error {
	keys, ok := settings[section]
	if !ok {
		return unknownSection(section)
	}
	apply, ok := keys[key]
	if !ok {
		apply, ok = keys[anyKey]
	}
	if !ok {
		return settingError(section, key, "there is no such setting")
	}
	if err := apply(r, value); err != nil {
		return settingError(section, key, "%w", err)
	}
	return nil
}

func unknownSection(name string) error {
	return fmt.Errorf("tahoe.cfg: [%s]: there is no such section", name)
}

// finish checks what depends on several settings.
func (r *rawConfig) finish() error {
	c := r.Config
	if err := checkCoding(c.Needed, c.Happy, c.Total); err != nil {
		return fmt.Errorf("tahoe.cfg: [client] %w", err)
	}
	if c.Introducer && c.Storage {
		return settingError("storage", "enabled", "an introducer is not a storage server too: give each a directory of its own")
	}
	c.Client = !c.Introducer
	if r.noOnly && (c.Storage || c.Introducer) {
		return settingError("tor", "onion", "a storage server or introducer is reached by its onion service and in no other way")
	}
	if c.TahoePort == 0 {
		c.TahoePort = DefaultTahoePort
		if c.OnionPort == c.TahoePort {
			c.TahoePort--
		}
	}
	if c.TahoePort == c.OnionPort {
		return settingError("tor", "onion.tahoe_port", "it is the same as onion.external_port: the two doors of a storage server need a port each")
	}
	switch {
	case r.mode != "":
		c.Tor.Mode = r.mode
	case r.control != "":
		c.Tor.Mode = "control=" + r.control
	case r.socks != "":
		c.Tor.Mode = "socks=" + r.socks
	default:
		c.Tor.Mode = DefaultTorMode
	}
	if r.launch && r.mode == "" {
		c.Tor.Mode = "launch"
	}
	if err := r.finishExpire(); err != nil {
		return err
	}
	if err := c.checkTor(); err != nil {
		return settingError("tor", "mode", "%w", err)
	}
	return nil
}

// checkCoding refuses k, happy and N that no file can have.
func checkCoding(needed, happy, total int) error {
	switch {
	case needed < 1 || total > 256 || needed > total:
		return fmt.Errorf("shares.needed = %d and shares.total = %d: 1 <= needed <= total <= 256 must hold", needed, total)
	case happy < 1 || happy > total:
		return fmt.Errorf("shares.happy = %d: 1 <= happy <= total = %d must hold", happy, total)
	}
	return nil
}

// notice records that a setting of Tahoe-LAFS has no effect here.
func (r *rawConfig) notice(format string, args ...any) {
	r.Notices = append(r.Notices, fmt.Sprintf(format, args...))
}

// relative turns a configured path into one from the root.
func (r *rawConfig) relative(p string) string { return filepath.Clean(r.Dir.inside(p)) }
