package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// insideVariable tells the second run of this program that it is the one in
// the namespace.
const insideVariable = "LAFS_SILENCE_INSIDE"

// outside starts this program again in a new network namespace, and in a
// user namespace where it is not root.
func outside(args []string) int {
	self, err := os.Executable()
	if err != nil {
		fmt.Fprintln(os.Stderr, "silence:", err)
		return exitNoNamespace
	}
	cmd := exec.Command(self, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), insideVariable+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "silence: this machine makes no network namespace:", err)
		return exitNoNamespace
	}
	return exitCode(cmd.Wait())
}

// raiseLoopback brings up "lo", which is down in a new namespace.
func raiseLoopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	req, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	req.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req)
}

// counters are what the kernel counted in this namespace and what a silent
// program leaves at rest: packets without a route, datagrams sent.
type counters map[string]uint64

// counted names the counters, with what each betrays.
var counted = map[string]string{
	"Ip OutNoRoutes":       "something dialled an address beyond this machine",
	"Ip6OutNoRoutes":       "something dialled an IPv6 address beyond this machine",
	"Udp OutDatagrams":     "a datagram was sent (DNS?)",
	"Udp6OutDatagrams":     "an IPv6 datagram was sent (DNS?)",
	"Icmp OutMsgs":         "an ICMP message was sent",
	"Udp NoPorts":          "a datagram was sent to a port where nobody listens",
	"Udp RcvbufErrors":     "datagrams were sent",
	"UdpLite OutDatagrams": "a datagram was sent",
}

// readCounters reads /proc/net/snmp (pairs of lines, names and values) and
// snmp6 (a name and a value a line).
func readCounters() (counters, error) {
	v4, err := os.ReadFile("/proc/self/net/snmp")
	if err != nil {
		return nil, err
	}
	c := counters{}
	lines := strings.Split(strings.TrimSpace(string(v4)), "\n")
	for i := 0; i+1 < len(lines); i += 2 {
		names, values := strings.Fields(lines[i]), strings.Fields(lines[i+1])
		if len(names) != len(values) || len(names) == 0 || names[0] != values[0] {
			return nil, errors.New("/proc/net/snmp is not laid out as expected")
		}
		for j := 1; j < len(names); j++ {
			c.keep(strings.TrimSuffix(names[0], ":")+" "+names[j], values[j])
		}
	}
	v6, err := os.ReadFile("/proc/self/net/snmp6")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	for s := bufio.NewScanner(bytes.NewReader(v6)); s.Scan(); {
		if f := strings.Fields(s.Text()); len(f) == 2 {
			c.keep(f[0], f[1])
		}
	}
	if _, ok := c["Ip OutNoRoutes"]; !ok {
		return nil, errors.New("the kernel does not count packets without a route")
	}
	return c, nil
}

func (c counters) keep(name, value string) {
	if _, ok := counted[name]; !ok {
		return
	}
	if n, err := strconv.ParseUint(value, 10, 64); err == nil {
		c[name] = n
	}
}

// since says what was counted between two readings, "" for silence.
func (c counters) since(before counters) string {
	var loud []string
	for name, n := range c {
		if d := n - before[name]; d > 0 {
			loud = append(loud, fmt.Sprintf("%s (%s: %d)", counted[name], name, d))
		}
	}
	return strings.Join(loud, "; ")
}
