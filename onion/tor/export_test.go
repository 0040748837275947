package tor

import "time"

// HedgeAfter makes dials that take long get another one sooner than in the
// product. Call it before the first.
func (t *Tor) HedgeAfter(d time.Duration) { t.hedge = d }
