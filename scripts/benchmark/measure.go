package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"lafs/scripts/realgrid"
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

// row measures f, and what it costs the client and all servers.
func (b *bench) row(operation string, n int, f func() error) (row, error) {
	client, servers := b.grid.Clients[:1], b.grid.Servers
	if err := client[0].ResetPeakMemory(); err != nil {
		return row{}, err
	}
	c0, s0 := cpu(client), cpu(servers)
	times, err := measure(n, f)
	if err != nil {
		return row{}, fmt.Errorf("%s: %w", operation, err)
	}
	w := row{operation: operation, times: times}
	w.clientCPU, w.serverCPU = (cpu(client)-c0)/time.Duration(n), (cpu(servers)-s0)/time.Duration(n)
	w.memory, err = client[0].PeakMemory()
	return w, err
}

// cpu is the processor time that running nodes have used, 0 for one that has
// ended.
func cpu(nodes []*realgrid.Process) (sum time.Duration) {
	for _, p := range nodes {
		used, err := cpuTime(p.Pid())
		if err == nil {
			sum += used
		}
	}
	return sum
}

// cpuTime reads a process's user and system time; the kernel counts in
// hundredths of a second.
func cpuTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, ok := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 13 {
		return 0, errors.New("read a process's times: the kernel's line is not as expected")
	}
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * (time.Second / 100), nil
}
