package node

import (
	"context"
	"io"
	"log"
	"maps"
	"net/http"
	"runtime"
	"runtime/metrics"
	"slices"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"lafs/onion/local"
)

// MetricsPath is where numbers are read on private/metrics.sock, in the
// OpenMetrics text format. The socket is its owner's alone. A program that
// reads it learns nothing of who stored what, and can do nothing: it is not
// private/gateway.sock.
const MetricsPath = "/metrics"

// MetricsSocket is private/metrics.sock.
func (d Dir) MetricsSocket() string { return d.path("private", "metrics.sock") }

// buildMetrics makes the numbers a part of the node. A fault of its socket
// does not end it.
func (n *Node) buildMetrics() error {
	n.parts = append(n.parts, part{name: "metrics", run: func(ctx context.Context) error {
		if err := n.serveMetrics(ctx); err != nil {
			n.log.Warn("the metrics are not served", "error", err)
		}
		return nil
	}})
	return nil
}

func (n *Node) serveMetrics(ctx context.Context) error {
	socket, err := local.ListenUnix(n.cfg.Dir.MetricsSocket())
	if err != nil {
		return err
	}
	defer socket.Close()
	server := &http.Server{
		Handler: n.handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != MetricsPath || r.Method != http.MethodGet {
				http.NotFound(w, r)
				return
			}
			w.Header().Set("Content-Type", string(expfmt.NewFormat(expfmt.TypeOpenMetrics)))
			w.Header().Set("Cache-Control", "no-store")
			n.writeMetrics(w)
		})),
		ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, ErrorLog: log.New(io.Discard, "", 0),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(socket) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if server.Shutdown(stop) != nil {
		server.Close()
	}
	<-failed
	return nil
}

// writeMetrics writes the numbers of this moment.
func (n *Node) writeMetrics(w io.Writer) error {
	c := &collector{n: n, families: map[string]*dto.MetricFamily{}}
	c.collect()
	for _, name := range slices.Sorted(maps.Keys(c.families)) {
		if _, err := expfmt.MetricFamilyToOpenMetrics(w, c.families[name]); err != nil {
			return err
		}
	}
	_, err := expfmt.FinalizeOpenMetrics(w)
	return err
}

// A collector gathers the numbers when they are asked for. Labels are fixed
// words: no server, no share, no address is ever one.
type collector struct {
	n        *Node
	families map[string]*dto.MetricFamily
}

// A measure is one row of what is told, with the names of its labels.
type measure struct {
	name, help string
	counter    bool
	labels     []string
}

func (m measure) tell(to *collector, v float64, labels ...string) {
	name, kind := "lafs_"+m.name, dto.MetricType_GAUGE
	if m.counter {
		name, kind = name+"_total", dto.MetricType_COUNTER
	}
	family := to.families[name]
	if family == nil {
		family = &dto.MetricFamily{Name: &name, Help: &m.help, Type: &kind}
		to.families[name] = family
	}
	row := &dto.Metric{}
	for i := range labels {
		row.Label = append(row.Label, &dto.LabelPair{Name: &m.labels[i], Value: &labels[i]})
	}
	if m.counter {
		row.Counter = &dto.Counter{Value: &v}
	} else {
		row.Gauge = &dto.Gauge{Value: &v}
	}
	family.Metric = append(family.Metric, row)
}

var numbers = struct {
	ready, tor, circuits, warning, services, uploads        measure
	shares, bytes, available, reserved, unfinished          measure
	leases, advisories, lost, readOnly, requests, in, out   measure
	introducers, servers, announced, memory, tasks, trouble measure
	sessions, streams, held, ended, refused                 measure
}{
	ready:       measure{name: "ready", help: "Whether the node serves."},
	tor:         measure{name: "tor_bootstrap_ratio", help: "How far Tor is connected to its network."},
	circuits:    measure{name: "tor_circuits", help: "Whether Tor has circuits through its network."},
	warning:     measure{name: "tor_warning", help: "Whether Tor warns of something at present."},
	services:    measure{name: "onion_services", help: "Own onion services.", labels: []string{"state"}},
	uploads:     measure{name: "onion_descriptor_uploads", help: "Directories of Tor's that took the descriptors of own services, and that did not, since Tor was connected to.", labels: []string{"outcome"}},
	shares:      measure{name: "storage_shares", help: "Shares held."},
	bytes:       measure{name: "storage_bytes", help: "Bytes in the shares held."},
	available:   measure{name: "storage_available_bytes", help: "Bytes that may be added."},
	reserved:    measure{name: "storage_reserved_bytes", help: "Bytes that stay free."},
	unfinished:  measure{name: "storage_unfinished_uploads", help: "Uploads under way."},
	leases:      measure{name: "storage_leases", help: "Leases, counted every ten minutes at most."},
	advisories:  measure{name: "storage_advisories", help: "Shares reported to be corrupt."},
	lost:        measure{name: "storage_votes_lost", help: "Whether the server lost its votes, and needs a new identity."},
	readOnly:    measure{name: "storage_read_only", help: "Whether no new shares are taken."},
	requests:    measure{name: "storage_requests", help: "Requests to the storage server.", counter: true, labels: []string{"operation", "outcome"}},
	in:          measure{name: "storage_received_bytes", help: "Bytes in the bodies of requests to the storage server.", counter: true},
	out:         measure{name: "storage_sent_bytes", help: "Bytes in the bodies of its answers.", counter: true},
	introducers: measure{name: "introducers", help: "Introducers of this client.", labels: []string{"state"}},
	servers:     measure{name: "servers", help: "Storage servers that this client knows.", labels: []string{"state"}},
	announced:   measure{name: "introducer_servers", help: "Storage servers that this introducer knows."},
	sessions:    measure{name: "sessions", help: "Circuits by which others reach this node.", labels: []string{"state"}},
	streams:     measure{name: "streams", help: "Requests that are open on them, and what may become one."},
	held:        measure{name: "buffered_bytes", help: "Bytes of requests and answers in memory."},
	ended:       measure{name: "sessions_ended", help: "Circuits that made room, had too much in memory here, or found no room.", counter: true, labels: []string{"why"}},
	refused:     measure{name: "requests_without_room", help: "Requests for which there was no room in memory.", counter: true},
	memory:      measure{name: "memory_bytes", help: "Memory that the program has of the system."},
	tasks:       measure{name: "goroutines", help: "Goroutines."},
	trouble:     measure{name: "log_messages", help: "Warnings and errors in the log.", counter: true, labels: []string{"level"}},
}

// collect gathers the numbers of this moment.
func (c *collector) collect() {
	m, s := &numbers, c.n.Status()
	m.ready.tell(c, yes(s.Ready))
	c.tor(&s.Tor)
	if s.Storage != nil {
		c.storage(s.Storage)
	}
	if s.Role == "client" {
		up, connected := 0, 0
		for _, in := range s.Introducers {
			if in.Connected {
				up++
			}
		}
		for _, sv := range s.Servers {
			if sv.Connected {
				connected++
			}
		}
		m.introducers.tell(c, float64(up), "connected")
		m.introducers.tell(c, float64(len(s.Introducers)-up), "not_connected")
		m.servers.tell(c, float64(connected), "connected")
		m.servers.tell(c, float64(len(s.Servers)-connected), "not_connected")
	}
	if s.Announced != nil {
		m.announced.tell(c, float64(*s.Announced))
	}
	if l := s.Load; l != nil {
		m.sessions.tell(c, float64(l.Busy), "busy")
		m.sessions.tell(c, float64(l.Sessions-l.Busy), "idle")
		m.streams.tell(c, float64(l.Streams))
		m.held.tell(c, float64(l.Bytes))
		m.ended.tell(c, float64(l.Dropped), "made_room")
		m.ended.tell(c, float64(l.Cut), "too_much")
		m.ended.tell(c, float64(l.Refused), "no_room")
		m.refused.tell(c, float64(l.Busied))
	}
	warnings, errs := c.n.troubles.counted()
	m.trouble.tell(c, float64(warnings), "warn")
	m.trouble.tell(c, float64(errs), "error")
	sample := []metrics.Sample{{Name: "/memory/classes/total:bytes"}}
	metrics.Read(sample)
	m.memory.tell(c, float64(sample[0].Value.Uint64()))
	m.tasks.tell(c, float64(runtime.NumGoroutine()))
}

func (c *collector) tor(s *TorStatus) {
	m := &numbers
	if s.Bootstrap >= 0 {
		m.tor.tell(c, float64(s.Bootstrap)/100)
	}
	if s.Circuits != nil {
		m.circuits.tell(c, yes(*s.Circuits))
	}
	m.warning.tell(c, yes(s.Warning != ""))
	if s.Services > 0 {
		m.services.tell(c, float64(s.Published), "published")
		m.services.tell(c, float64(s.Services-s.Published), "not_published")
		m.uploads.tell(c, float64(s.Uploads), "taken")
		m.uploads.tell(c, float64(s.FailedUploads), "failed")
	}
}

func (c *collector) storage(s *StorageStatus) {
	m := &numbers
	for _, row := range []struct {
		m *measure
		v int64
	}{
		{&m.shares, s.Shares}, {&m.bytes, s.Bytes}, {&m.available, s.Available}, {&m.reserved, s.Reserved},
		{&m.unfinished, int64(s.Uploads)}, {&m.leases, s.Leases}, {&m.advisories, int64(s.Advisories)},
		{&m.in, s.Since.Received}, {&m.out, s.Since.Sent},
	} {
		row.m.tell(c, float64(row.v))
	}
	m.lost.tell(c, yes(s.StateLost))
	m.readOnly.tell(c, yes(s.ReadOnly))
	c.n.traffic.byKind(func(operation, outcome string, v int64) { m.requests.tell(c, float64(v), operation, outcome) })
}

func yes(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
