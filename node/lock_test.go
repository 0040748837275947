package node_test

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"lafs/node"
)

// Whoever starts in a directory without keys goes on with those that the disk
// keeps, however many start at once.
func TestKeysAreMadeOnce(t *testing.T) {
	for range 20 {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "tahoe.cfg"), []byte("[client]\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		secrets := make([]string, 4)
		var all sync.WaitGroup
		for i := range secrets {
			all.Go(func() {
				c, err := node.Load(dir)
				if err != nil {
					t.Error(err)
					return
				}
				secrets[i] = node.Convergence(c)
			})
		}
		all.Wait()
		for _, s := range secrets {
			if s != secrets[0] {
				t.Fatal("two processes hold different secrets, of which the disk has one")
			}
		}
	}
}
