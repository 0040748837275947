package gateway_test

import (
	"context"
	"strings"
	"testing"

	"lafs/node/gateway"
	"lafs/shares/caps"
)

// A checker notes what it was asked.
type checker struct {
	asked  []caps.Cap
	opts   gateway.CheckOptions
	report gateway.CheckReport
	err    error
}

func (c *checker) Check(_ context.Context, what caps.Cap, opts gateway.CheckOptions) (*gateway.CheckReport, error) {
	c.asked, c.opts = append(c.asked, what), opts
	return &c.report, c.err
}

func TestCheck(t *testing.T) {
	ck := &checker{}
	tr := plant(t, func(c *gateway.Config) { c.Checker = ck })
	file := capOf([]byte("x"))
	si := file.StorageIndex()
	ck.report = gateway.CheckReport{Index: si, Before: gateway.Health{
		Recoverable: true, Happiness: 4, Needed: 3, Total: 10, Good: 9, Hosts: 4, Wrong: 1, RecoverableVersions: 1, UnrecoverableVersions: 2,
		Corrupt: []gateway.CorruptShare{{Server: "v0-a", Number: 7}}, Responding: []string{"v0-a", "v0-b"}, Sharemap: map[string][]string{"0": {"v0-a", "v0-b"}, "seq1-abcd-sh2": {"v0-b"}},
	}}
	before := `{"storage-index":"` + si.String() + `","summary":"Not healthy","results":{"healthy":false,"recoverable":true,"count-happiness":4,"count-shares-good":9,` +
		`"count-shares-needed":3,"count-shares-expected":10,"count-good-share-hosts":4,"count-wrong-shares":1,"count-recoverable-versions":1,` +
		`"count-unrecoverable-versions":2,"count-corrupt-shares":1,"list-corrupt-shares":[["v0-a","` + si.String() + `",7]],` +
		`"servers-responding":["v0-a","v0-b"],"sharemap":{"0":["v0-a","v0-b"],"seq1-abcd-sh2":["v0-b"]}}}`
	if got := tr.want(200, "POST", "/uri/"+file.Reveal()+"?t=check&output=JSON&verify=true&add-lease=1", ""); got != before+"\n" {
		t.Errorf("got %s, want %s", got, before)
	}
	if ck.opts != (gateway.CheckOptions{Verify: true, AddLease: true}) || ck.asked[0].Reveal() != file.Reveal() {
		t.Errorf("asked with %+v", ck.opts)
	}
	repaired := `{"storage-index":"` + si.String() + `","repair-attempted":false,"repair-successful":false,"pre-repair-results":` + before + `,"post-repair-results":` + before + `}`
	if got := tr.want(200, "POST", "/uri/"+file.Reveal()+"?t=check", "output=json&repair=on", urlencoded); got != repaired+"\n" || !ck.opts.Repair {
		t.Errorf("got %s, want %s", got, repaired)
	}
	ck.report.Repaired, ck.report.Success, ck.report.After = true, true, &gateway.Health{Healthy: true, Recoverable: true, Summary: "all good"}
	got := tr.want(200, "POST", "/uri/"+file.Reveal()+"?t=check&output=JSON&repair=true", "")
	if !strings.Contains(got, `"repair-attempted":true,"repair-successful":true`) || !strings.Contains(got, `"post-repair-results":{"storage-index":"`+si.String()+`","summary":"all good","results":{"healthy":true,`) ||
		!strings.Contains(got, `"list-corrupt-shares":[],"servers-responding":[],"sharemap":{}`) {
		t.Errorf("after a repair: got %s", got)
	}
	for query, want := range map[string]string{"": "Not healthy\n", "&repair=true": "Before: Not healthy\nAfter repair: all good\n"} {
		if got := tr.want(200, "POST", "/uri/"+file.Reveal()+"?t=check"+query, ""); got != want {
			t.Errorf("as text: got %q, want %q", got, want)
		}
	}
	// Directories are checked as the file that they are kept in, and paths
	// are followed.
	tr.want(201, "PUT", tr.root+"/f", strings.Repeat("x", 100))
	n := len(ck.asked)
	tr.want(200, "POST", tr.root+"/?t=check", "")
	tr.want(200, "POST", tr.root+"/f?t=check", "")
	tr.want(200, "POST", "/uri/"+file.Verifier().Reveal()+"?t=check", "")
	if k := ck.asked[n:]; len(k) != 3 || k[0].Kind() != caps.KindSSK || k[1].Kind() != caps.KindCHK || k[2].Kind() != caps.KindCHKVerifier {
		t.Errorf("asked for %v", ck.asked[n:])
	}
	// What has no shares is asked of nobody.
	n = len(ck.asked)
	for target, want := range map[string]string{
		"/uri/URI:LIT:?t=check&output=JSON":                 `{"storage-index":"","results":{"healthy":true}}`,
		"/uri/URI:DIR2-LIT:?t=check&output=JSON":            `{"storage-index":"","results":{"healthy":true}}`,
		"/uri/URI:LIT:?t=check&output=JSON&repair=true":     `{"storage-index":"","repair-attempted":false}`,
		"/uri/URI:LIT:?t=check&output=html&add-lease=false": "Healthy: the cap itself holds it all",
	} {
		if got := tr.want(200, "POST", target, ""); got != want+"\n" {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	tr.want(400, "POST", "/uri/garbage?t=check", "")
	tr.want(400, "POST", "/uri?t=check", "")
	tr.want(400, "POST", "/uri/"+file.Reveal()+"?t=check&verify=perhaps", "")
	tr.want(404, "POST", tr.root+"/none?t=check", "")
	if len(ck.asked) != n {
		t.Error("shares were looked for where there are none")
	}
	tr2 := plant(t, nil)
	tr2.want(501, "POST", "/uri/"+file.Reveal()+"?t=check", "")
}
