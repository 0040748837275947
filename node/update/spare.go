package update

import "lafs/shares/mutable"

// spares holds a key that nobody has used, so that an object that is made does
// not wait for one. It is in memory only.
type spares struct {
	made   int // keys that were asked for
	making bool
	key    *mutable.Key
}

// newKey returns a key for a new object. Where one follows another, the next
// is made ahead.
func (e *Engine) newKey() (*mutable.Key, error) {
	e.mu.Lock()
	s := &e.spares
	key := s.key
	s.key = nil
	s.key = nil
	s.made++
	ahead := s.made > 1 && !s.making
	s.making = s.making || ahead
	e.mu.Unlock()
	if ahead {
		e.background(e.makeSpare) // not where the engine is closed
	}
	if key != nil {
		return key, nil
	}
	return mutable.GenerateKey()
}

func (e *Engine) makeSpare() {
	key, err := mutable.GenerateKey()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.spares.making = false
	if err == nil { // else who needs one is told
		e.spares.key = key
	}
}
