package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/ini.v1"
)

// told are the settings of a server of Tahoe-LAFS's that its operator would
// miss, since they are not taken over: each section's keys. None is secret.
var told = []struct {
	section string
	keys    []string
}{
	{"node", []string{"nickname"}},
	{"storage", []string{"reserved_space", "readonly", "expire.enabled", "expire.mode", "expire.override_lease_duration", "expire.cutoff_date",
		"expire.immutable", "expire.mutable"}},
}

// tell adds notices of what the other server had and the node does not get.
// Nothing secret is in them: of files with secrets only the names.
func (t *otherServer) tell(c *Config) error {
	if t.dir == "" {
		return nil
	}
	own, err := ini.LoadSources(iniOptions, c.Dir.ConfigFile())
	if err != nil {
		return fmt.Errorf("read tahoe.cfg: %w", err)
	}
	var lines []string
	for _, s := range told {
		for _, k := range s.keys {
			was, is := value(t.cfg, s.section, k), value(own, s.section, k)
			if was != "" && was != is && !isOff(was) && printable(was) {
				lines = append(lines, fmt.Sprintf("[%s] %s = %s", s.section, k, was))
			}
		}
	}
	if len(lines) > 0 {
		t.notices = append(t.notices, "its settings are not taken over; what it had, and this node has not, in tahoe.cfg: "+strings.Join(lines, ", "))
	}
	if n, err := strconv.ParseUint(value(t.cfg, "tor", "onion.external_port"), 10, 16); err == nil && n > 0 && uint16(n) != c.TahoePort {
		t.notices = append(t.notices, fmt.Sprintf("its Tahoe-LAFS clients look for it at port %d: for them, set [tor] onion.tahoe_port = %[1]d, and onion.external_port to another", n))
	}
	if g := value(t.cfg, "storage", "grid_management"); g != "" && !isOff(g) {
		t.notices = append(t.notices, "its grid manager's certificates are not used here: whoever has the right to store may store")
	}
	return t.tellFiles()
}

// tellFiles tells of what it had as a client.
func (t *otherServer) tellFiles() error {
	has := func(names ...string) (there []string, err error) {
		for _, name := range names {
			if _, err := os.Stat(t.dir.path("private", name)); err == nil {
				there = append(there, "private/"+name)
			} else if !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
		}
		return there, nil
	}
	mine, err := has("aliases", "convergence", "secret", "servers.yaml")
	if err != nil {
		return fmt.Errorf("look at the other server's directory: %w", err)
	}
	if len(mine) > 0 {
		t.notices = append(t.notices, "what it had as a client is not taken over: "+strings.Join(mine, ", ")+
			". If this node is to be that client too, copy them, into private/ and with mode 0600, before it is started: private/aliases has the names of directories, "+
			"private/convergence gives the same caps for the same files, private/secret renews and changes what was stored, and of private/servers.yaml onion services are used")
	}
	introducers, err := has("introducers.yaml")
	if err != nil {
		return fmt.Errorf("look at the other server's directory: %w", err)
	}
	if f := value(t.cfg, "client", "introducer.furl"); len(introducers) > 0 || f != "" && f != "None" {
		t.notices = append(t.notices, "it announced itself at an introducer of Tahoe-LAFS's, which this node can not use: its Tahoe-LAFS clients need what "+
			"lafs storage tahoe-servers-yaml prints, and lafs clients an introducer of lafs's (create-node --introducer-file)")
	}
	return nil
}

// value is a setting without what stands around it, "" if it is not there.
func value(f *ini.File, section, key string) string {
	return strings.TrimSpace(f.Section(section).Key(key).Value())
}

// isOff says that a switch is set as it is by itself.
func isOff(s string) bool {
	return slices.Contains([]string{"false", "no", "off", "0"}, strings.ToLower(s))
}

// printable says that a text can be shown on a terminal.
func printable(s string) bool {
	return len(s) <= 200 && !slices.ContainsFunc([]rune(s), func(r rune) bool { return !strconv.IsPrint(r) })
}
