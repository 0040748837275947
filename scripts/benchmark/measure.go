package main

import (
	"slices"
	"time"
)

// A sample is the times of one operation, in the order of its runs.
type sample []time.Duration

func (s sample) median() time.Duration {
	sorted := slices.Sorted(slices.Values(s))
	if len(sorted) == 0 {
		return 0
	}
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

func (s sample) slowest() time.Duration {
	if len(s) == 0 {
		return 0
	}
	return slices.Max(s)
}

// measure runs f n times.
func measure(n int, f func() error) (sample, error) {
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
