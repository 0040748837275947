package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestMissed(t *testing.T) {
	ms := func(n int) sample { return sample{time.Duration(n) * time.Millisecond} }
	for _, tt := range []struct {
		name string
		row  row
		want string
	}{
		{"nothing asked", row{times: ms(900)}, ""},
		{"in trips", row{times: ms(1100), ideal: 2, trip: ms(500), atMost: 2.3}, ""},
		{"too many trips", row{times: ms(1200), ideal: 2, trip: ms(500), atMost: 2.3}, "limit"},
		{"below the limit", row{times: ms(120), limit: ms(100), atMost: 1.2}, ""},
		{"above the limit", row{times: ms(121), limit: ms(100), atMost: 1.2}, "limit"},
		{"faster", row{times: ms(100), theirs: result{times: ms(101)}}, ""},
		{"as fast", row{times: ms(100), theirs: result{times: ms(100)}}, "Tahoe"},
		{"fast enough", row{times: ms(100), theirs: result{times: ms(400), atLeast: 4}}, ""},
		{"not fast enough", row{times: ms(100), theirs: result{times: ms(399), atLeast: 4}}, "Tahoe"},
		{"they were stopped later", row{times: ms(100), theirs: result{stopped: time.Second, atLeast: 4}}, ""},
		{"they were stopped early", row{times: ms(500), theirs: result{stopped: time.Second, atLeast: 4}}, "Tahoe"},
		{"they are not there", row{times: ms(100), theirs: result{missing: "not installed", atLeast: 4}}, ""},
		{"both", row{times: ms(100), limit: ms(10), atMost: 2, theirs: result{times: ms(50)}}, "limit, Tahoe"},
		{"failed", row{failed: errors.New("no")}, "failed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.row.missed(); got != tt.want {
				t.Errorf("missed: got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestSample(t *testing.T) {
	var hundred sample
	for i := range 100 {
		hundred = append(hundred, time.Duration(100-i))
	}
	for _, tt := range []struct {
		name        string
		s           sample
		median, p95 time.Duration
	}{
		{"none", nil, 0, 0},
		{"one", sample{7}, 7, 7},
		{"even", sample{9, 1, 3, 5}, 4, 9},
		{"odd", sample{9, 1, 3}, 3, 9},
		{"hundred", hundred, 50, 95},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if m, p := tt.s.median(), tt.s.p95(); m != tt.median || p != tt.p95 {
				t.Errorf("got %d and %d, want %d and %d", m, p, tt.median, tt.p95)
			}
		})
	}
}

// Each format gives a line a row, and what is missing has its reason in it.
func TestReport(t *testing.T) {
	rows := []row{
		{operation: "put | get", times: sample{time.Second}, bytes: 1 << 20, limit: sample{2 * time.Second}, what: "streams",
			atMost: 1.2, theirs: result{times: sample{5 * time.Second}, atLeast: 4}},
		{operation: "check", times: sample{time.Second}, ideal: 1, trip: sample{time.Second / 2}, atMost: 1.25, theirs: result{missing: "not installed"}},
		{operation: "stopped", times: sample{time.Second}, theirs: result{stopped: time.Minute}},
		{operation: "lost", failed: errors.New("it\nis gone"), alone: true},
	}
	want := [][]string{
		{"1.000", "1.05", "2.000", "0.50", "1.2x", "5.000", "5.0x", "4x", "yes", "streams"},
		{"2.00", "0.500", "1.25 trips", "not installed", "NO: limit", "1 trip"},
		{">60.000", ">60.0x", "yes", "stopped after 60.000 s"},
		{"NO: failed", "failed after 0 runs: it is gone"},
	}
	for _, format := range []string{"text", "markdown", "json"} {
		t.Run(format, func(t *testing.T) {
			var out bytes.Buffer
			r := &report{format: format, out: &out, before: func() {}}
			if err := r.begin(setting{Command: "scripts/bench"}); err != nil {
				t.Fatal(err)
			}
			head := strings.Count(out.String(), "\n")
			for _, w := range rows {
				if err := r.add(w); err != nil {
					t.Fatal(err)
				}
			}
			lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
			if len(lines) != head+len(rows) {
				t.Fatalf("got %d lines, want %d:\n%s", len(lines), head+len(rows), out.String())
			}
			for i, line := range lines[head:] {
				if format == "json" {
					var o map[string]any
					if err := json.Unmarshal([]byte(line), &o); err != nil || o["operation"] != rows[i].operation {
						t.Errorf("line %d: %v: %s", i, err, line)
					}
					continue
				}
				if format == "markdown" && strings.Count(strings.ReplaceAll(line, "\\|", ""), "|") != len(columns)+1 {
					t.Errorf("line %d has not %d cells: %s", i, len(columns), line)
				}
				for _, w := range want[i] {
					if !strings.Contains(line, w) {
						t.Errorf("line %d lacks %q: %s", i, w, line)
					}
				}
			}
			if len(r.missed) != 2 {
				t.Errorf("missed: got %q, want two rows", r.missed)
			}
		})
	}
}
