// Command lafs stores files on a grid of Tor onion services, and runs the
// nodes of such a grid. `lafs help` tells how.
package main

import "os"

func main() {
	stderr := harden()
	os.Exit(run(os.Args[1:], env{
		stdin:   os.Stdin,
		stdout:  os.Stdout,
		stderr:  stderr,
		network: startTor,
		signals: stopSignals,
	}))
}
