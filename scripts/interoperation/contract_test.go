package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"lafs/introducer"
	"lafs/onion/door"
	"lafs/onion/tor"
	"lafs/shares/storage"
	"lafs/shares/storage/gbs"
	"lafs/shares/storage/storagetest"
)

// dial returns a client of ours of the Tahoe-LAFS server that the command
// scripts/interop started.
func dial(t *testing.T) *gbs.Client {
	t.Helper()
	text := os.Getenv(nurlVariable)
	if text == "" {
		t.Skip("no Tahoe-LAFS server: scripts/interop starts one and runs this test")
	}
	nurl, err := introducer.ParseNURL(text)
	if err != nil {
		t.Fatal(err)
	}
	mode, err := tor.ParseMode(os.Getenv(torVariable))
	if err != nil {
		t.Fatal(err)
	}
	network, err := tor.Start(t.Context(), tor.Config{Mode: mode, DataDir: filepath.Join(t.TempDir(), "tor")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { network.Close() })
	pool, err := door.NewPool(network)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pool.Close() })
	return gbs.NewClient(pool.Peer(nurl.Door().Address, nurl.Door().Pin), storage.NewSwissnum(nurl.Swissnum().Reveal()))
}

// differences of a server of Tahoe-LAFS 1.20 from ours, each looked at:
//
//   - A write past the end of a share is answered with 500, where ours says
//     400: its server does not expect it.
//   - Allocating again, with the same secret, a share whose upload is under way
//     does not list it again, so that a client that lost the answer takes the
//     server for full. Ours lists it, and the upload goes on.
var differences = []string{"bad requests", "allocating twice"}

// slotDifferences of such a server, and of what our client makes of it:
//
//   - What lafs keeps beside a share stands behind it on a server that only
//     knows shares, so that who reads past the share's end sees it. Asking for
//     the bucket of a slot's index is answered with 500, where ours says that
//     there is none.
//   - A read-test-write that would make a share of a petabyte or more is
//     answered with 500, where ours says 507 or 413.
//   - What a Tahoe-LAFS client overwrites is gone: nothing keeps it.
var slotDifferences = []string{"plain reads of a slot", "bad read-test-writes",
	"a foreign write over a slot", "a foreign write between promise and vote"}

// notTahoes are about what lafs makes of servers that know only Tahoe-LAFS's
// protocol, by many requests each: shares/storage/tail tests them in memory.
var notTahoes = []string{"an unknown slot", "the first write", "a fast write keeps the base", "promises", "accepting",
	"shares left out", "learning", "repeats", "shares of another version", "bad steps", "fetching a part", "large shares",
	"concurrent steps", "an object of Tahoe-LAFS", "cancelled context"}

func TestContract(t *testing.T) {
	c := dial(t)
	storagetest.Run(t, func(*testing.T) storage.Server { return c }, storagetest.Except(differences...))
}

func TestContractOfSlots(t *testing.T) {
	c := dial(t)
	storagetest.Slots(t, func(*testing.T) storage.Slots { return c }, slices.Concat(slotDifferences, notTahoes)...)
}
