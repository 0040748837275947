package tahoe

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"lafs/onion/local"
	"lafs/onion/tornet"
)

// A Client is a Tahoe-LAFS client with its web API.
type Client struct {
	*Node
	way     http.RoundTripper
	control string // of its Tor
}

// ClientOptions say what client to make.
type ClientOptions struct {
	// Program is tahoe (Install), Dir the directory to make.
	Program, Dir string
	// Control and Socks are Tor's, as unix:/path (onion/tornet's ClientTor).
	Control, Socks string
	// Servers is private/servers.yaml (Merge).
	Servers []byte
	// Needed, Happy and Total are k, happy and N.
	Needed, Happy, Total int
	// MutableFormat is sdmf or mdmf.
	MutableFormat string
	// Foolscap makes it speak its old protocol alone.
	Foolscap bool
}

// NewClient makes a client's directory, as lafs storage tahoe-servers-yaml
// --help tells a person to.
func NewClient(o ClientOptions) (*Client, error) {
	if o.MutableFormat == "" {
		o.MutableFormat = "sdmf"
	}
	n, err := create(o.Program, o.Dir, fmt.Sprintf(`[node]
web.port = tcp:0:interface=127.0.0.1
reveal-IP-address = false
tub.port = disabled
tub.location = disabled

[connections]
tcp = tor

[tor]
control.port = %s
socks.port = %s

[client]
force_foolscap = %t
shares.needed = %d
shares.happy = %d
shares.total = %d
mutable.format = %s

[storage]
enabled = false
`, o.Control, o.Socks, o.Foolscap, o.Needed, o.Happy, o.Total, o.MutableFormat))
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(o.Dir, "private", "servers.yaml"), o.Servers, 0o600); err != nil {
		return nil, err
	}
	return &Client{Node: n, control: o.Control}, nil
}

// Merge makes one servers.yaml of several.
func Merge(files ...[]byte) ([]byte, error) {
	all := map[string]any{}
	for _, text := range files {
		var one struct {
			Storage map[string]any `yaml:"storage"`
		}
		if err := yaml.Unmarshal(text, &one); err != nil {
			return nil, fmt.Errorf("read servers.yaml: %w", err)
		}
		for id, entry := range one.Storage {
			all[id] = entry
		}
	}
	return yaml.Marshal(map[string]any{"storage": all})
}

// Start runs the client and finds its web API.
func (c *Client) Start(ctx context.Context) error {
	if err := c.Node.Start(ctx); err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(c.Dir, "node.url"))
	if err != nil {
		return err
	}
	u, err := url.Parse(strings.TrimSpace(string(text)))
	if err != nil {
		return err
	}
	c.way, err = local.LoopbackClient(u.Host)
	return err
}

// poll is the wait between two looks at the client: it asks its servers once
// a second itself.
const poll = 250 * time.Millisecond

// stuck is how long the client has to connect before its Tor gets new
// circuits for the next try: Tahoe-LAFS asks for no others by itself, and
// gives up each try after 5 seconds.
const stuck = 20 * time.Second

// AwaitServers returns when the client is connected to so many servers.
func (c *Client) AwaitServers(ctx context.Context, want int) error {
	renew := time.NewTicker(stuck)
	defer renew.Stop()
	for {
		body, err := c.Do(ctx, http.MethodGet, "/?t=json", nil)
		if err != nil {
			return err
		}
		var page struct {
			Servers []struct {
				Status string `json:"connection_status"`
			}
		}
		if err := json.Unmarshal(body, &page); err != nil {
			return fmt.Errorf("read the client's page: %w", err)
		}
		up, last := 0, ""
		for _, s := range page.Servers {
			if s.Status == "connected" || strings.HasPrefix(s.Status, "Connected") {
				up++
			} else {
				last = s.Status
			}
		}
		if up >= want {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the Tahoe-LAFS client is connected to %d of %d servers, and says of another %q: %w", up, want, last, ctx.Err())
		case <-renew.C:
			if err := tornet.NewCircuits(ctx, c.control); err != nil {
				return err
			}
		case <-time.After(poll):
		}
	}
}

// RoundTrip makes a request of the web API, whatever host it names.
func (c *Client) RoundTrip(req *http.Request) (*http.Response, error) { return c.way.RoundTrip(req) }

// Do makes one request of the web API and returns the answer's body. A status
// above 299 is an error with the body's beginning.
func (c *Client) Do(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://127.0.0.1"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	resp, err := c.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	if resp.StatusCode >= 300 {
		return nil, fmt.Errorf("%s: %s: %s", method, resp.Status, out[:min(len(out), 1000)])
	}
	return out, nil
}
