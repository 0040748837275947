package main

import (
	"os"
	"path/filepath"
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

func TestContract(t *testing.T) {
	c := dial(t)
	storagetest.Run(t, func(*testing.T) storage.Server { return c })
}

func TestContractOfSlots(t *testing.T) {
	c := dial(t)
	storagetest.Slots(t, func(*testing.T) storage.Slots { return c })
}
