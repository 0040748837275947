package main

import (
	"slices"
	"time"
)

// A sample is the times of one operation, in the order of its runs.
type sample []time.Duration

// median is the middle one, or the mean of the two in the middle.
func (s sample) median() time.Duration {
	sorted := slices.Sorted(slices.Values(s))
	if len(sorted) == 0 {
		return 0
	}
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

// p95 is the 95th percentile by nearest rank: of fewer than 20 runs, the
// slowest.
func (s sample) p95() time.Duration {
	sorted := slices.Sorted(slices.Values(s))
	if len(sorted) == 0 {
		return 0
	}
	return sorted[(len(sorted)*95+99)/100-1]
}

func (s sample) seconds() []float64 {
	out := make([]float64, len(s))
	for i, t := range s {
		out[i] = t.Seconds()
	}
	return out
}

// repeat measures f n times.
func repeat(n int, f func() error) (sample, error) {
	s := make(sample, 0, n)
	for range n {
		start := time.Now()
		if err := f(); err != nil {
			return nil, err
		}
		s = append(s, time.Since(start))
	}
	return s, nil
}
