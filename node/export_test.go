package node

// CreateTime is createTime, for tests.
var CreateTime = createTime

// HoldsOnly is a server that gets no new shares.
type HoldsOnly = holdsOnly
