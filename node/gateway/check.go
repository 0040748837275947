package gateway

import (
	"cmp"
	"context"
	"errors"
	"net/http"

	"lafs/shares/caps"
)

// A Checker looks after the shares of one file, or of the file that a
// directory is kept in. Its methods may be called at once, and its errors
// hold no caps.
type Checker interface {
	// Check counts the shares of what c names, which is no LIT and no
	// directory, but may be a verify cap.
	Check(ctx context.Context, c caps.Cap, opts CheckOptions) (*CheckReport, error)
}

// CheckOptions say what is to be done beside counting shares.
type CheckOptions struct {
	// Verify reads and verifies every byte of every share.
	Verify bool
	// Repair makes the shares that are missing, if any are.
	Repair bool
	// AddLease adds or renews a lease on every share that is found.
	AddLease bool
}

// A CheckReport is what a Check found and did.
type CheckReport struct {
	Index caps.StorageIndex
	// Before is what was found.
	Before Health
	// Repaired tells that a repair was tried, and Success that it left a
	// healthy file. After is what was found then; nil stands for Before.
	Repaired, Success bool
	After             *Health
}

// A Health is the state of a file's shares, in Tahoe's terms (TAHOE.md, "Web
// API").
type Health struct {
	// Summary is one line of text for a person; empty gives a plain one.
	Summary string
	// Healthy: all shares are good, and of one version. Recoverable: there
	// are enough to read it.
	Healthy, Recoverable bool
	// Happiness, and k and N.
	Happiness, Needed, Total int
	// Good is how many different good shares there are of the best version,
	// Hosts how many servers hold one, Wrong how many shares are of another
	// version.
	Good, Hosts, Wrong int
	// Versions that could be read, and that could not.
	RecoverableVersions, UnrecoverableVersions int
	Corrupt                                    []CorruptShare
	// Responding are the ids of the servers that answered.
	Responding []string
	// Sharemap has the ids of the servers that hold a good share, by its
	// name: the number of a CHK file's, and as in "seq2-4bcd-sh0", the
	// version too of a mutable one's.
	Sharemap map[string][]string
}

// A CorruptShare is a share on a server whose bytes are wrong.
type CorruptShare struct {
	Server string
	Number int
}

// A checkJSON is Tahoe's description of a Health. A LIT has only the index,
// which is empty, and that it is healthy.
type checkJSON struct {
	StorageIndex string      `json:"storage-index"`
	Summary      string      `json:"summary,omitempty"`
	Results      resultsJSON `json:"results"`
}

type resultsJSON struct {
	Healthy bool `json:"healthy"`
	*countsJSON
}

type countsJSON struct {
	Recoverable           bool                `json:"recoverable"`
	Happiness             int                 `json:"count-happiness"`
	Good                  int                 `json:"count-shares-good"`
	Needed                int                 `json:"count-shares-needed"`
	Total                 int                 `json:"count-shares-expected"`
	Hosts                 int                 `json:"count-good-share-hosts"`
	Wrong                 int                 `json:"count-wrong-shares"`
	RecoverableVersions   int                 `json:"count-recoverable-versions"`
	UnrecoverableVersions int                 `json:"count-unrecoverable-versions"`
	CorruptCount          int                 `json:"count-corrupt-shares"`
	Corrupt               [][3]any            `json:"list-corrupt-shares"` // server, storage index, number
	Responding            []string            `json:"servers-responding"`
	Sharemap              map[string][]string `json:"sharemap"`
}

type repairJSON struct {
	StorageIndex string     `json:"storage-index"`
	Attempted    bool       `json:"repair-attempted"`
	Successful   *bool      `json:"repair-successful,omitempty"`
	Before       *checkJSON `json:"pre-repair-results,omitempty"`
	After        *checkJSON `json:"post-repair-results,omitempty"`
}

func (h *Health) json(si caps.StorageIndex) *checkJSON {
	counts := &countsJSON{
		Recoverable: h.Recoverable, Happiness: h.Happiness,
		Good: h.Good, Needed: h.Needed, Total: h.Total, Hosts: h.Hosts, Wrong: h.Wrong,
		RecoverableVersions: h.RecoverableVersions, UnrecoverableVersions: h.UnrecoverableVersions,
		CorruptCount: len(h.Corrupt), Corrupt: make([][3]any, 0, len(h.Corrupt)),
		Responding: append([]string{}, h.Responding...), Sharemap: h.Sharemap,
	}
	for _, c := range h.Corrupt {
		counts.Corrupt = append(counts.Corrupt, [3]any{c.Server, si.String(), c.Number})
	}
	if counts.Sharemap == nil {
		counts.Sharemap = map[string][]string{}
	}
	return &checkJSON{si.String(), h.summary(), resultsJSON{h.Healthy, counts}}
}

// summary says in a word how the file is.
func (h *Health) summary() string {
	word := "Not recoverable"
	switch {
	case h.Healthy:
		word = "Healthy"
	case h.Recoverable:
		word = "Not healthy"
	}
	return cmp.Or(h.Summary, word)
}

// check answers POST ?t=check.
func (g *gateway) check(w http.ResponseWriter, r *http.Request, a args, start caps.Cap, names []string) error {
	if err := a.only("verify", "repair", "add-lease", "output"); err != nil {
		return err
	}
	opts, err := a.checkOptions()
	if err != nil {
		return err
	}
	o, err := g.resolve(r.Context(), start, names)
	if err != nil {
		return err
	}
	c := o.Cap()
	if d, ok := c.(*caps.Directory); ok {
		c = d.File()
	}
	asJSON := a.Get("output") == "JSON" || a.Get("output") == "json"
	switch {
	case !o.Known():
		return refuse(http.StatusBadRequest, "that is not a cap that this version of lafs knows")
	case c.Kind() == caps.KindLIT && asJSON && opts.Repair:
		return writeJSON(w, repairJSON{})
	case c.Kind() == caps.KindLIT && asJSON:
		return writeJSON(w, checkJSON{Results: resultsJSON{Healthy: true}})
	case c.Kind() == caps.KindLIT:
		return writeText(w, "Healthy: the cap itself holds it all\n")
	case g.cfg.Checker == nil:
		return &Error{http.StatusNotImplemented, errors.New("this node checks no files")}
	}
	report, err := g.cfg.Checker.Check(r.Context(), c, opts)
	if err != nil {
		return err
	}
	return writeReport(w, report, opts.Repair, asJSON)
}

func (a args) checkOptions() (o CheckOptions, err error) {
	for key, to := range map[string]*bool{"verify": &o.Verify, "repair": &o.Repair, "add-lease": &o.AddLease} {
		if *to, err = a.boolean(key, false); err != nil {
			return o, err
		}
	}
	return o, nil
}

func writeReport(w http.ResponseWriter, report *CheckReport, repair, asJSON bool) error {
	before, after := &report.Before, cmp.Or(report.After, &report.Before)
	switch {
	case !asJSON && repair && report.Repaired:
		return writeText(w, "Before: "+before.summary()+"\nAfter repair: "+after.summary()+"\n")
	case !asJSON:
		return writeText(w, before.summary()+"\n")
	case !repair:
		return writeJSON(w, before.json(report.Index))
	}
	success := report.Repaired && report.Success
	return writeJSON(w, repairJSON{report.Index.String(), report.Repaired, &success,
		before.json(report.Index), after.json(report.Index)})
}
