// Package node is one node of a grid: its directory, its configuration and
// the assembly of its parts.
//
// A node directory is created by Create, read by Load and used by one Node at
// a time. New puts the parts together, in one place (assemble.go), and Run
// runs them until its context ends. The package opens no socket that leaves
// the machine: it is given an onion.Network, and refuses to be without one.
//
// The directory has Tahoe-LAFS's names wherever another program reads them
// (TAHOE.md, "Node directory"), so that one made by Tahoe-LAFS opens too.
package node
