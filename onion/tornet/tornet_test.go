package tornet_test

import (
	"context"
	"testing"
	"time"

	"lafs/onion/tornet"
)

func TestStart(t *testing.T) {
	began := time.Now()
	n, err := tornet.Start(context.Background(), tornet.Config{Dir: t.TempDir() + "/n"})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("ready after %v", time.Since(began))
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
}
