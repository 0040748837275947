package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"
)

// A row is one operation's result.
type row struct {
	operation string
	times     sample
	bytes     int64  // of plaintext, 0 where speed says nothing
	limit     sample // the same bytes on plain streams, if measured
	streams   int    // how many plain streams
}

// A report prints rows as they come.
type report struct {
	json bool
	trip time.Duration
	out  *tabwriter.Writer
	raw  io.Writer
}

func newReport(asJSON bool, trip time.Duration) *report {
	r := &report{json: asJSON, trip: trip, raw: os.Stdout, out: tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)}
	if !asJSON {
		fmt.Fprintf(r.raw, "one round trip to an onion service: %.3f s (median)\n\n", trip.Seconds())
		fmt.Fprintln(r.out, "operation\tmedian s\tslowest s\ttrips\tMB/s\tplain streams\ttheir s\tratio\t")
	}
	return r
}

func (r *report) add(w row) error {
	if r.json {
		return json.NewEncoder(r.raw).Encode(w.object(r.trip))
	}
	speed, streams, limit, ratio := "", "", "", ""
	if w.bytes >= 1<<20 {
		speed = fmt.Sprintf("%.2f", float64(w.bytes)/1e6/w.times.median().Seconds())
	}
	if len(w.limit) > 0 {
		streams, limit = fmt.Sprint(w.streams), fmt.Sprintf("%.2f", w.limit.median().Seconds())
		ratio = fmt.Sprintf("%.2f", w.times.median().Seconds()/w.limit.median().Seconds())
	}
	_, err := fmt.Fprintf(r.out, "%s\t%.3f\t%.3f\t%.1f\t%s\t%s\t%s\t%s\t\n", w.operation, w.times.median().Seconds(),
		w.times.slowest().Seconds(), w.times.median().Seconds()/r.trip.Seconds(), speed, streams, limit, ratio)
	return err
}

func (r *report) flush() error { return r.out.Flush() }

// object is the row for programs: seconds, bytes, and trips as
// seconds divided by the measured trip.
func (w row) object(trip time.Duration) map[string]any {
	seconds := make([]float64, len(w.times))
	for i, t := range w.times {
		seconds[i] = t.Seconds()
	}
	o := map[string]any{
		"operation": w.operation, "seconds": seconds, "median_seconds": w.times.median().Seconds(),
		"trip_seconds": trip.Seconds(), "trips": w.times.median().Seconds() / trip.Seconds(),
	}
	if w.bytes > 0 {
		o["bytes"] = w.bytes
	}
	if len(w.limit) > 0 {
		o["plain_streams"], o["plain_median_seconds"] = w.streams, w.limit.median().Seconds()
	}
	return o
}
