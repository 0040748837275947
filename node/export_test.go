package node

// CreateTime is createTime, for tests.
var CreateTime = createTime
