package main

import (
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	if _, ok := os.LookupEnv(childEnv); ok {
		main()
		return
	}
	os.Exit(m.Run())
}

// TestKills is a slice of scripts/crash.
func TestKills(t *testing.T) {
	sum, err := Kill(t.Context(), 6, 7)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(sum)
	if sum.Steps == 0 {
		t.Error("nothing was acknowledged: the test saw nothing")
	}
}

// TestPoints is a slice of scripts/crash.
func TestPoints(t *testing.T) {
	sum, err := Points(t.Context(), 25, 7)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(sum)
	if sum.Images < 25 {
		t.Errorf("only %d disks were looked at", sum.Images)
	}
}
