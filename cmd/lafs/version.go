package main

import "runtime/debug"

// version is what --version prints. It is never sent to anybody.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return "lafs/" + info.Main.Version
	}
	return "lafs/devel"
}
