package node

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"gopkg.in/yaml.v3"

	"lafs/introducer"
	"lafs/node/durable"
)

// AddServers writes the servers of text, which has the form of
// private/servers.yaml, into that file of the node in dir, in place of what
// it says of them, and returns their ids. The rest of the file stays, with
// its comments. Errors quote nothing of either.
func AddServers(dir string, text []byte) ([]string, error) {
	c, err := read(dir)
	if err != nil {
		return nil, err
	}
	var in serversFile
	if err := yaml.Unmarshal(text, &in); err != nil || len(in.Storage) == 0 {
		return nil, errors.New("this is not the line that lafs storage grant prints")
	}
	for id, s := range in.Storage {
		if _, err := introducer.Static(id, s.Ann); err != nil {
			return nil, fmt.Errorf("server %s: %w", shortID(id), err)
		}
	}
	unlock, err := c.Dir.lockSecrets()
	if err != nil {
		return nil, err
	}
	defer unlock()
	doc, err := readServers(c.Dir.serversFile())
	if err != nil {
		return nil, fmt.Errorf("private/servers.yaml: %w", err)
	}
	var added yaml.Node
	if err := yaml.Unmarshal(text, &added); err != nil {
		return nil, errors.New("this is not the line that lafs storage grant prints")
	}
	to, from := entry(doc.Content[0], "storage"), entry(added.Content[0], "storage")
	if to.Kind != yaml.MappingNode {
		return nil, errors.New("private/servers.yaml: storage is not a list of servers by their ids")
	}
	ids := slices.Sorted(maps.Keys(in.Storage))
	for _, id := range ids {
		*entry(to, id) = *entry(from, id)
	}
	var out bytes.Buffer
	if err := yaml.NewEncoder(&out).Encode(doc); err != nil {
		return nil, errors.New("the server can't be written as YAML")
	}
	if err := durable.WriteFile(c.Dir.serversFile(), out.Bytes(), fileMode); err != nil {
		return nil, fmt.Errorf("write private/servers.yaml: %w", err)
	}
	return ids, nil
}

// readServers reads the file as a document with a mapping in it.
func readServers(path string) (*yaml.Node, error) {
	raw, err := readSmall(path, maxPeersFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		return nil, fmt.Errorf("it is not the YAML that was expected%s", yamlLine(err))
	}
	if doc.Kind == 0 || len(doc.Content) == 1 && doc.Content[0].Tag == "!!null" {
		doc = yaml.Node{Kind: yaml.DocumentNode, Content: []*yaml.Node{{Kind: yaml.MappingNode}}}
	}
	if len(doc.Content) != 1 || doc.Content[0].Kind != yaml.MappingNode {
		return nil, errors.New("it is not the YAML that was expected")
	}
	return &doc, nil
}

// entry returns the value of a key of a mapping, and makes an empty mapping
// of one that is not there.
func entry(m *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value != key {
			continue
		}
		if m.Content[i+1].Tag == "!!null" {
			*m.Content[i+1] = yaml.Node{Kind: yaml.MappingNode}
		}
		return m.Content[i+1]
	}
	v := &yaml.Node{Kind: yaml.MappingNode}
	m.Content = append(m.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: key}, v)
	return v
}
