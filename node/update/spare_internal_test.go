package update

import (
	"testing"

	"lafs/shares/mutable"
)

// Keys are made ahead from the second on, and none is given out twice.
func TestSpareKeys(t *testing.T) {
	e := &Engine{}
	given := make(map[*mutable.Key]bool)
	for i := range 4 {
		e.work.Wait()
		if spare := e.spares.key; (spare != nil) != (i > 1) {
			t.Fatalf("before key %d: a spare one is %v", i, spare != nil)
		}
		spare := e.spares.key
		key, err := e.newKey()
		if err != nil || key == nil || spare != nil && key != spare {
			t.Fatalf("key %d: got %p, %v, want %p", i, key, err, spare)
		}
		if given[key] {
			t.Errorf("key %d was given before", i)
		}
		given[key] = true
	}
	// Nor where none follows it.
	e.work.Wait()
	e.closed = true
	for range 2 {
		key, err := e.newKey()
		if err != nil || given[key] {
			t.Errorf("of an engine that is closed: got %p, %v, given before: %v", key, err, given[key])
		}
		given[key] = true
	}
}
