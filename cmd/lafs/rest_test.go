package main

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"lafs/node/gateway"
)

// put reads on behind the cap, and says what became of the shares that were
// not placed by then.
func TestPutReportsTheRest(t *testing.T) {
	for _, tt := range []struct{ name, lines, want string }{
		{"all", `{"cap":"URI:x","pending":true}` + "\n" + `{"placed":{"shares":10,"total":10,"servers":5}}` + "\n", "10 of 10 shares are on 5 servers"},
		{"some", `{"cap":"URI:x","pending":true}` + "\n" + `{"placed":{"shares":8,"total":10,"servers":4}}` + "\n", "8 of 10 shares are on 4 servers"},
		{"the node broke off", `{"cap":"URI:x","pending":true}` + "\n", "lafs check --repair makes it whole"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var told bytes.Buffer
			a := &app{env: env{stderr: &told}, quiet: true}
			lines := `{"phase":"sending","done":1,"total":10}` + "\n" + tt.lines
			m := a.meter("sending", 0)
			defer m.end()
			got, err := readPutAnswer(&http.Response{Header: http.Header{"Content-Type": {gateway.ProgressType}},
				Body: io.NopCloser(strings.NewReader(lines))}, m)
			if err != nil || got.cap != "URI:x" || !got.pending {
				t.Fatalf("got %+v, %v", got.pending, err)
			}
			a.tellRest(got.updates)
			if text := told.String(); !strings.Contains(text, "it is safe already") || !strings.Contains(text, tt.want) {
				t.Errorf("told %q, want %q", text, tt.want)
			}
		})
	}
}
