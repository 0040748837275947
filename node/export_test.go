package node

// CreateTime is createTime, for tests.
var CreateTime = createTime

// HoldsOnly is a server that gets no new shares.
type HoldsOnly = holdsOnly

// Convergence is the convergence secret that a Config was loaded with.
func Convergence(c *Config) string { return string(c.secrets.convergence) }
