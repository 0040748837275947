package gateway

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"lafs/node/grid"
	"lafs/shares/caps"
)

// OnCheck is the Checker that g is.
func OnCheck(g *grid.Grid) Checker { return &onCheck{g} }

type onCheck struct{ grid *grid.Grid }

func (o *onCheck) Check(ctx context.Context, c caps.Cap, opts CheckOptions) (*CheckReport, error) {
	res, err := o.grid.Check(ctx, c, grid.CheckOptions(opts))
	if errors.Is(err, grid.ErrNotImmutable) {
		return nil, &Error{http.StatusNotImplemented, errors.New("this version of lafs checks only immutable files and directories")}
	}
	if err != nil {
		return nil, err
	}
	report := &CheckReport{Index: res.Index, Before: health(res)}
	if r := res.Repair; r != nil && r.Attempted {
		report.Repaired, report.Success = true, r.Successful
		after := health(r.After)
		if r.Err != nil {
			after.Summary += "; the repair ended early: " + r.Err.Error()
		}
		report.After = &after
	}
	return report, nil
}

func health(r *grid.CheckResult) Health {
	h := Health{
		Summary: r.Summary, Healthy: r.Healthy, Recoverable: r.Recoverable,
		Happiness: r.Happiness, Needed: r.Needed, Total: r.Expected,
		Good: r.Good, Hosts: r.GoodHosts, Wrong: r.Wrong,
		RecoverableVersions: r.RecoverableVersions, UnrecoverableVersions: r.UnrecoverableVersions,
		Responding: r.Responding, Sharemap: make(map[string][]string, len(r.Sharemap)),
	}
	for _, c := range r.Corrupt {
		h.Corrupt = append(h.Corrupt, CorruptShare{Server: c.ServerID, Number: c.Number})
	}
	for n, servers := range r.Sharemap {
		h.Sharemap[strconv.Itoa(n)] = servers
	}
	return h
}
