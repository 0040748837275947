package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"
)

// A row is one operation's result.
type row struct {
	operation string
	times     sample
	bytes     int64  // of plaintext, 0 where speed says nothing
	limit     sample // what the operation is compared with, if anything
	what      string // what limit is

	clientCPU, serverCPU time.Duration // a run; of all servers
	memory               int64         // the client's peak, in bytes
}

// A report prints rows as they come.
type report struct {
	json bool
	trip time.Duration
	out  io.Writer
}

// columns are wide enough for what a run gives.
const columns = "%-38s %8s %8s %7s %6s %7s %8s %5s %8s %6s  %s\n"

func newReport(asJSON bool, trip time.Duration) *report {
	r := &report{json: asJSON, trip: trip, out: os.Stdout}
	if !asJSON && trip == 0 {
		fmt.Fprint(r.out, "p50, p95, limit: seconds; CPU: seconds a run, of the client and of all servers; peak: the client's memory, MiB\n\n")
		fmt.Fprintf(r.out, columns, "operation", "p50", "p95", "trips", "MB/s", "CPU", "servers", "peak", "limit", "ratio", "the limit is")
	}
	if !asJSON && trip > 0 {
		fmt.Fprintf(r.out, columns, "one round trip to an onion service", fmt.Sprintf("%.3f", trip.Seconds()), "", "1.00", "", "", "", "", "", "", "")
	}
	return r
}

func (r *report) add(w row) error {
	if r.json {
		return json.NewEncoder(r.out).Encode(w.object(r.trip))
	}
	var speed, limit, ratio, client, servers, peak string
	if w.bytes >= 1<<20 {
		speed = fmt.Sprintf("%.2f", float64(w.bytes)/1e6/w.times.median().Seconds())
	}
	if len(w.limit) > 0 {
		limit, ratio = fmt.Sprintf("%.3f", w.limit.median().Seconds()), fmt.Sprintf("%.2f", w.ratio())
	}
	if w.memory > 0 {
		client, servers = fmt.Sprintf("%.2f", w.clientCPU.Seconds()), fmt.Sprintf("%.2f", w.serverCPU.Seconds())
		peak = fmt.Sprint(w.memory >> 20)
	}
	trips := ""
	if r.trip > 0 {
		trips = fmt.Sprintf("%.2f", w.times.median().Seconds()/r.trip.Seconds())
	}
	_, err := fmt.Fprintf(r.out, columns, w.operation, fmt.Sprintf("%.3f", w.times.median().Seconds()),
		fmt.Sprintf("%.3f", w.times.p95().Seconds()), trips,
		speed, client, servers, peak, limit, ratio, w.what)
	return err
}

func (w row) ratio() float64 { return w.times.median().Seconds() / w.limit.median().Seconds() }

// object is the row for programs: seconds, bytes, and trips as seconds
// divided by the measured trip.
func (w row) object(trip time.Duration) map[string]any {
	o := map[string]any{
		"operation": w.operation, "seconds": seconds(w.times),
		"p50_seconds": w.times.median().Seconds(), "p95_seconds": w.times.p95().Seconds(),
	}
	if trip > 0 {
		o["trip_seconds"], o["trips"] = trip.Seconds(), w.times.median().Seconds()/trip.Seconds()
	}
	if w.bytes > 0 {
		o["bytes"] = w.bytes
	}
	if w.memory > 0 {
		o["client_cpu_seconds"], o["servers_cpu_seconds"] = w.clientCPU.Seconds(), w.serverCPU.Seconds()
		o["client_peak_bytes"] = w.memory
	}
	if len(w.limit) > 0 {
		o["limit"], o["limit_seconds"], o["limit_p50_seconds"], o["ratio"] = w.what, seconds(w.limit), w.limit.median().Seconds(), w.ratio()
	}
	return o
}

func seconds(s sample) []float64 {
	out := make([]float64, len(s))
	for i, t := range s {
		out[i] = t.Seconds()
	}
	return out
}
