package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// A cost is what operations take of the machine, the median operation's or
// at the most.
type cost struct {
	client, servers time.Duration // of processors, a run
	memory          int64         // the client's peak, in bytes
}

// A meter adds up what a side costs from each begin to the end after it.
type meter struct {
	s               *side
	client, servers sample
	c0, s0          time.Duration
	memory          int64
}

func (m *meter) begin() {
	for _, pid := range m.s.client() {
		// The kernel counts the peak from now on. What cannot be read in the
		// end is left out of the row.
		_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0o200)
	}
	m.c0, m.s0 = cpu(m.s.client()), cpu(m.s.servers())
}

func (m *meter) end() {
	m.client = append(m.client, max(0, cpu(m.s.client())-m.c0))
	m.servers = append(m.servers, max(0, cpu(m.s.servers())-m.s0))
	for _, pid := range m.s.client() {
		peak, err := peakMemory(pid)
		if err == nil {
			m.memory = max(m.memory, peak)
		}
	}
}

func (m *meter) cost() cost { return cost{m.client.mean(), m.servers.mean(), m.memory} }

// mean is the mean; processor times come in hundredths of a second, which a
// median would not share out.
func (s sample) mean() time.Duration {
	var sum time.Duration
	for _, t := range s {
		sum += t
	}
	return sum / time.Duration(max(1, len(s)))
}

// cpu is the processor time that running processes have used, 0 for one that
// has ended.
func cpu(pids []int) (sum time.Duration) {
	for _, pid := range pids {
		used, err := cpuTime(pid)
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

// peakMemory is the most resident memory that a process has had, in bytes.
func peakMemory(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		var kib int64
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kib); n == 1 {
			return kib << 10, nil
		}
	}
	return 0, errors.New("the kernel tells no peak of resident memory")
}
