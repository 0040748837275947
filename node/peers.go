package node

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"lafs/introducer"
)

// introducersFile is private/introducers.yaml, in Tahoe-LAFS's shape.
type introducersFile struct {
	Introducers map[string]introducerEntry `yaml:"introducers"`
}

type introducerEntry struct {
	FURL string `yaml:"furl"`
}

// serversFile is private/servers.yaml, in Tahoe-LAFS's shape. An entry whose
// announcement has an onion address of ours can be used.
type serversFile struct {
	Storage map[string]struct {
		Ann map[string]any `yaml:"ann"`
	} `yaml:"storage"`
}

// maxPeersFile bounds each of the two files, in bytes.
const maxPeersFile = 1 << 20

// defaultPetname is that of an introducer whose name nobody chose.
const defaultPetname = "default"

// loadPeers reads the introducers and servers that the user named.
func (c *Config) loadPeers() error {
	var in introducersFile
	if err := readYAML(c.Dir.IntroducersFile(), &in); err != nil {
		return fmt.Errorf("private/introducers.yaml: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(in.Introducers)) {
		if err := checkPetname(name); err != nil {
			return fmt.Errorf("private/introducers.yaml: %w", err)
		}
		c.addIntroducer(name, in.Introducers[name].FURL)
	}
	var st serversFile
	if err := readYAML(c.Dir.serversFile(), &st); err != nil {
		return fmt.Errorf("private/servers.yaml: %w", err)
	}
	for _, id := range slices.Sorted(maps.Keys(st.Storage)) {
		a, err := introducer.Static(id, st.Storage[id].Ann)
		if err != nil {
			c.Refused = append(c.Refused, Refusal{"server " + shortID(id), err.Error()})
			continue
		}
		if twin := c.sameTub(a); twin != "" {
			c.Refused = append(c.Refused, Refusal{"server " + shortID(id), "its anonymous-storage-FURL has the tub id of server " + shortID(twin) +
				", and would get that one's write enablers and lease secrets"})
			continue
		}
		c.Servers = append(c.Servers, a)
	}
	return nil
}

// sameTub returns the id of a server that has a's tub id already.
func (c *Config) sameTub(a *introducer.Announcement) string {
	for _, known := range c.Servers {
		if known.TubID == a.TubID {
			return known.ServerID()
		}
	}
	return ""
}

func (c *Config) addIntroducer(petname, text string) {
	furl, err := introducer.ParseFURL(text)
	if err != nil {
		c.Refused = append(c.Refused, Refusal{"introducer " + petname, err.Error()})
		return
	}
	if c.Introducers == nil {
		c.Introducers = map[string]*introducer.FURL{}
	}
	c.Introducers[petname] = furl
}

// readYAML reads one of the files; a file that is not there is empty. Its
// errors never quote the file, which holds secrets.
func readYAML(path string, into any) error {
	raw, err := readSmall(path, maxPeersFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := os.Chmod(path, fileMode); err != nil {
		return fmt.Errorf("close it to others: %w", err)
	}
	if err := yaml.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("it is not the YAML that was expected%s", yamlLine(err))
	}
	return nil
}

// yamlLine keeps the line numbers of an error of yaml.v3, whose text may
// quote the file.
func yamlLine(err error) string {
	text := err.Error()
	i := strings.Index(text, "line ")
	if i < 0 {
		return ""
	}
	digits := text[i+len("line "):]
	n := len(digits) - len(strings.TrimLeft(digits, "0123456789"))
	if n == 0 {
		return ""
	}
	return " (line " + digits[:n] + ")"
}

// checkPetname refuses a name that cannot be part of a file name.
func checkPetname(name string) error {
	bad := func(r rune) bool {
		return r != '-' && r != '_' && r != '.' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}
	if name == "" || len(name) > 64 || strings.HasPrefix(name, ".") || strings.ContainsFunc(name, bad) {
		return fmt.Errorf("the name %.80q: write letters, digits, - and _", name)
	}
	return nil
}

// shortID cuts a server id for logs and errors.
func shortID(id string) string {
	id = strings.TrimPrefix(id, "v0-")
	if len(id) > 8 {
		id = id[:8] + "…"
	}
	return id
}

// introducersText writes private/introducers.yaml for FURLs that a new node
// was given, nil for none. It refuses those that lafs cannot use.
func introducersText(furls []string) ([]byte, error) {
	if len(furls) == 0 {
		return nil, nil
	}
	file := introducersFile{Introducers: map[string]introducerEntry{}}
	for i, text := range furls {
		if _, err := introducer.ParseFURL(text); err != nil {
			return nil, fmt.Errorf("--introducer: %w", err)
		}
		name := defaultPetname
		if i > 0 {
			name = fmt.Sprintf("introducer%d", i+1)
		}
		file.Introducers[name] = introducerEntry{strings.TrimSpace(text)}
	}
	return yaml.Marshal(file)
}
