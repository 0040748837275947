package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"
)

// A report prints rows as they come.
type report struct {
	format string // "text", "markdown" or "json"
	out    io.Writer
	trip   time.Duration // of the whole run, 0 without a network
	// before comes before each print.
	before func()
	// missed are the operations of which more was asked.
	missed []string
}

// legend explains the columns.
const legend = "p50, p95: seconds of lafs. trips: p50 in round trips measured beside it. CPU s: of the client and of all servers, a run.\n" +
	"MiB: the client's peak. limit: what it takes at the least, measured in the same run; ratio: p50 to that; at most: the target.\n" +
	"Tahoe s: the p50 of Tahoe-LAFS in the same network; faster: how many times lafs is; least: the target where it is not just faster.\n"

// A setting is what was measured where.
type setting struct {
	Command    string    `json:"command"`
	DelayMS    int64     `json:"delay_ms"`
	Processors int       `json:"processors"`
	Load       string    `json:"load"` // of the machine before, over 1, 5 and 15 minutes
	Time       time.Time `json:"time"`
}

func settingOf(o options) setting {
	load, err := os.ReadFile("/proc/loadavg")
	words := strings.Fields(string(load))
	if err != nil || len(words) < 3 {
		words = []string{"unknown"}
	}
	return setting{o.command, o.delay.Milliseconds(), runtime.NumCPU(), strings.Join(words[:min(3, len(words))], " "), time.Now().UTC().Truncate(time.Second)}
}

// begin prints what stands above the rows.
func (r *report) begin(s setting) error {
	title := fmt.Sprintf("%s on %s: %d processors, load before %s; %d servers at %d-of-%d, %d ms a link",
		s.Command, s.Time.Format(time.DateOnly), s.Processors, s.Load, servers, needed, total, s.DelayMS)
	head := func(c column) string { return c.head }
	var err error
	switch r.format {
	case "json":
		err = json.NewEncoder(r.out).Encode(s)
	case "markdown":
		_, err = fmt.Fprintf(r.out, "%s\n\n%s\n%s%s\n", title, legend, markdownLine(head), strings.Repeat("|---", len(columns))+"|")
	default:
		_, err = fmt.Fprintf(r.out, "%s\n%s\n%s", title, legend, textLine(head))
	}
	return err
}

func (r *report) add(w row) error {
	if m := w.missed(); m != "" {
		r.missed = append(r.missed, w.operation+" ("+m+")")
	}
	r.before()
	w.whole = r.trip
	cell := func(c column) string { return c.cell(w) }
	var err error
	switch r.format {
	case "json":
		err = json.NewEncoder(r.out).Encode(w.object())
	case "markdown":
		_, err = io.WriteString(r.out, markdownLine(cell))
	default:
		_, err = io.WriteString(r.out, textLine(cell))
	}
	return err
}

// object is the row for programs: seconds, bytes, and trips as seconds
// divided by the trip measured beside it.
func (w row) object() map[string]any {
	o := map[string]any{
		"operation": w.operation, "seconds": w.times.seconds(),
		"p50_seconds": w.times.median().Seconds(), "p95_seconds": w.times.p95().Seconds(),
	}
	if trip := w.beside(); trip > 0 {
		o["trip_seconds"], o["trips"] = trip.Seconds(), over(w.times.median(), trip)
	}
	if w.bytes > 0 {
		o["bytes"] = w.bytes
	}
	if w.cost.memory > 0 {
		o["client_cpu_seconds"], o["servers_cpu_seconds"] = w.cost.client.Seconds(), w.cost.servers.Seconds()
		o["client_peak_bytes"] = w.cost.memory
	}
	if w.least() > 0 {
		o["limit_p50_seconds"], o["ratio"] = w.least().Seconds(), w.ratio()
		if w.ideal > 0 {
			o["limit_trips"] = w.ideal
		} else {
			o["limit"], o["limit_seconds"] = w.what, w.limit.seconds()
		}
	}
	if w.atMost > 0 {
		unit := "times_the_limit"
		if w.ideal > 0 {
			unit = "trips"
		}
		o["at_most"], o["at_most_unit"] = w.atMost, unit
	}
	if w.asked() {
		o["held"] = w.missed() == ""
	}
	if w.failed != nil {
		o["failed"] = w.failed.Error()
	}
	if !w.alone {
		o["tahoe"] = w.theirs.object(w)
	}
	return o
}

func (t result) object(w row) map[string]any {
	o := map[string]any{}
	if t.missing != "" {
		o["missing"] = t.missing
	}
	if t.failed != nil {
		o["failed"] = t.failed.Error()
	}
	if t.stopped > 0 {
		o["stopped_seconds"] = t.stopped.Seconds()
	}
	if len(t.times) > 0 {
		o["seconds"], o["p50_seconds"], o["p95_seconds"] = t.times.seconds(), t.times.median().Seconds(), t.times.p95().Seconds()
		o["client_cpu_seconds"], o["servers_cpu_seconds"] = t.cost.client.Seconds(), t.cost.servers.Seconds()
		o["client_peak_bytes"] = t.cost.memory
	}
	if f := w.faster(); f > 0 {
		o["times_faster"] = f
	}
	if t.atLeast > 0 {
		o["at_least_times_faster"] = t.atLeast
	}
	return o
}
