package node

import (
	"log/slog"
	"net/http"
	"time"

	"lafs/node/gateway"
	"lafs/node/grid"
	"lafs/node/update"
)

// CreateTime is createTime, for tests.
var CreateTime = createTime

// HoldsOnly is a server that gets no new shares.
type HoldsOnly = holdsOnly

// Convergence is the convergence secret that a Config was loaded with.
func Convergence(c *Config) string { return string(c.secrets.convergence) }

// NewChecker is what the gateway checks objects with.
func NewChecker(g *grid.Grid, e *update.Engine, lease *grid.LeaseSecret, servers func() []grid.Server) gateway.Checker {
	return &checker{grid: g, engine: e, lease: lease, servers: servers}
}

// NewTroubles returns a log and what it has to tell.
func NewTroubles(next slog.Handler) (*slog.Logger, func() []Trouble) {
	t := newTroubles(time.Now)
	return slog.New(t.handler(next)), t.recent
}

// OperationOf is the kind of a request.
func OperationOf(r *http.Request) string { return operation(r) }
