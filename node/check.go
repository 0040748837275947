package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"

	"lafs/node/gateway"
	"lafs/node/grid"
	"lafs/node/update"
	"lafs/shares/caps"
	"lafs/shares/placement"
)

// A checker looks after objects of all kinds: immutable ones with the grid,
// mutable ones with the update engine. It implements gateway.Checker.
type checker struct {
	grid    *grid.Grid
	engine  *update.Engine
	lease   *grid.LeaseSecret
	servers func() []grid.Server
}

// Check implements gateway.Checker.
func (k *checker) Check(ctx context.Context, c caps.Cap, opts gateway.CheckOptions) (*gateway.CheckReport, error) {
	res, err := k.grid.Check(ctx, c, grid.CheckOptions(opts))
	if errors.Is(err, grid.ErrNotImmutable) {
		return k.checkMutable(ctx, c, opts)
	}
	if err != nil {
		return nil, err
	}
	report := &gateway.CheckReport{Index: res.Index, Before: immutableHealth(res)}
	if r := res.Repair; r != nil && r.Attempted {
		report.Repaired, report.Success = true, r.Successful
		after := immutableHealth(r.After)
		if r.Err != nil {
			after.Summary += "; the repair was not finished: " + r.Err.Error()
		}
		report.After = &after
	}
	return report, nil
}

func immutableHealth(r *grid.CheckResult) gateway.Health {
	h := gateway.Health{
		Summary: r.Summary, Healthy: r.Healthy, Recoverable: r.Recoverable,
		Happiness: r.Happiness, Needed: r.Needed, Total: r.Expected,
		Good: r.Good, Hosts: r.GoodHosts, Wrong: r.Wrong,
		RecoverableVersions: r.RecoverableVersions, UnrecoverableVersions: r.UnrecoverableVersions,
		Responding: r.Responding, Sharemap: make(map[string][]string, len(r.Sharemap)),
	}
	for _, c := range r.Corrupt {
		h.Corrupt = append(h.Corrupt, gateway.CorruptShare{Server: c.ServerID, Number: c.Number})
	}
	for n, servers := range r.Sharemap {
		h.Sharemap[strconv.Itoa(n)] = servers
	}
	return h
}

var errRepairRight = &gateway.Error{Status: http.StatusBadRequest, Err: errors.New("a mutable object is repaired with its write cap only")}

// checkMutable is Check of a mutable object.
func (k *checker) checkMutable(ctx context.Context, c caps.Cap, opts gateway.CheckOptions) (*gateway.CheckReport, error) {
	w, writes := c.(*caps.MutableWriter)
	if opts.Repair && !writes {
		return nil, errRepairRight
	}
	report := &gateway.CheckReport{Index: c.Verifier().(*caps.MutableVerifier).Index}
	var err error
	if report.Before, err = k.mutableHealth(ctx, c, report.Index, opts); err != nil {
		return nil, err
	}
	if !opts.Repair || report.Before.Healthy {
		return report, nil
	}
	report.Repaired = true
	repairErr := k.engine.Repair(ctx, w)
	after, err := k.mutableHealth(ctx, c, report.Index, opts)
	if err != nil {
		return nil, cmp.Or(repairErr, err)
	}
	if repairErr != nil {
		after.Summary += "; the repair was not finished: " + repairErr.Error()
	}
	report.Success, report.After = repairErr == nil && after.Healthy, &after
	return report, nil
}

// mutableHealth asks how a mutable object is. One that nobody has is a
// result, too.
func (k *checker) mutableHealth(ctx context.Context, c caps.Cap, si caps.StorageIndex, opts gateway.CheckOptions) (h gateway.Health, err error) {
	r, err := k.engine.Check(ctx, c, opts.Verify)
	if errors.Is(err, update.ErrNotFound) || errors.Is(err, update.ErrTooFewServers) {
		h.Summary = "Not recoverable: " + err.Error()
		return h, nil
	}
	if err != nil {
		return h, err
	}
	h = gateway.Health{
		Healthy: r.Healthy, Recoverable: r.Recoverable,
		Happiness: placement.Happiness(r.Shares), Needed: r.Needed, Total: r.Total, Good: r.Good,
		// Of other versions it is known that they are there, not how many
		// shares of them.
		Wrong: r.OtherVersions, UnrecoverableVersions: r.OtherVersions,
		Responding: r.Answered, Sharemap: make(map[string][]string, len(r.Shares)),
	}
	if r.Recoverable {
		h.RecoverableVersions = 1
	} else {
		h.UnrecoverableVersions++
	}
	hosts := map[string]bool{}
	for n, servers := range r.Shares {
		// Tahoe's name for a share of a version.
		root := caps.Encoding.EncodeToString(r.Version.Root[:])[:4]
		h.Sharemap[fmt.Sprintf("seq%d-%s-sh%d", r.Version.Seq, root, n)] = servers
		for _, id := range servers {
			hosts[id] = true
		}
	}
	h.Hosts = len(hosts)
	for _, bad := range r.Corrupt {
		h.Corrupt = append(h.Corrupt, gateway.CorruptShare{Server: bad.Server, Number: bad.Number})
	}
	h.Summary = mutableSummary(&h) + votesKept(r.OnlyTahoe, hosts)
	if opts.AddLease {
		err = k.addLeases(ctx, si, hosts)
	}
	return h, err
}

func mutableSummary(h *gateway.Health) string {
	word := "Not recoverable"
	switch {
	case h.Healthy:
		word = "Healthy"
	case h.Recoverable:
		word = "Not healthy"
	}
	return fmt.Sprintf("%s: %d of %d shares are good, and %d are needed", word, h.Good, h.Total, h.Needed)
}

// votesKept says which promise holds where not every server that holds an
// object keeps votes.
func votesKept(onlyTahoe []string, hosts map[string]bool) string {
	n := 0
	for _, id := range onlyTahoe {
		if hosts[id] {
			n++
		}
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("; %d of the %d servers with shares speak only Tahoe's protocol: changes are agreed on by clients alone", n, len(hosts))
}

// addLeases renews our lease on the servers that hold an object.
func (k *checker) addLeases(ctx context.Context, si caps.StorageIndex, hosts map[string]bool) error {
	var all sync.WaitGroup
	var mu sync.Mutex
	var errs []error // guarded by mu
	for _, s := range k.servers() {
		if !hosts[s.ID] {
			continue
		}
		all.Go(func() {
			if err := s.Storage.AddLease(ctx, si, k.lease.Lease(si, s.TubID)); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			}
		})
	}
	all.Wait()
	if len(errs) > 0 {
		return fmt.Errorf("renew the leases: %d of %d servers did not: %w", len(errs), len(hosts), errs[0])
	}
	return nil
}
