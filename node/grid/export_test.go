package grid

// Held is the memory that transfers have taken, and the bytes that servers are
// taken to owe them.
func (g *Grid) Held() (memory, owed int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range g.paces {
		p.mu.Lock()
		owed += p.owed
		p.mu.Unlock()
	}
	return g.memory.used.Load(), owed
}
