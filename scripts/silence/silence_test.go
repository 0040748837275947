package main

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// plants are what TestMain does when the test program runs itself in the
// namespace: each a leak that must be seen, or innocent work that must not.
var plants = map[string]func(){
	"nothing": func() {},
	"unix and loopback": func() {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			panic(err)
		}
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			panic(err)
		}
		c.Close()
		l.Close()
	},
	"direct dial":      func() { net.DialTimeout("tcp", "192.0.2.1:80", time.Second) },
	"direct IPv6 dial": func() { net.DialTimeout("tcp", "[2001:db8::1]:80", time.Second) },
	"datagram": func() {
		c, err := net.Dial("udp", "192.0.2.1:9")
		if err == nil {
			c.Write([]byte("x"))
		}
	},
	"look-up": func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		r := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, "192.0.2.53:53")
		}}
		r.LookupHost(ctx, "example.com")
	},
	"look-up at a local resolver": func() {
		c, err := net.Dial("udp", "127.0.0.1:53")
		if err == nil {
			c.Write([]byte("x"))
		}
	},
}

const plantVariable = "LAFS_SILENCE_PLANT"

func TestMain(m *testing.M) {
	if plant := os.Getenv(plantVariable); plant != "" && os.Getenv(insideVariable) == "" {
		plants[plant]()
		return
	}
	if os.Getenv(plantVariable) != "" {
		self, _ := os.Executable()
		os.Exit(inside([]string{self}))
	}
	os.Exit(m.Run())
}

func TestPlantedLeaksAreSeen(t *testing.T) {
	for name := range plants {
		t.Run(name, func(t *testing.T) {
			if _, err := os.Stat("/proc/net/if_inet6"); err != nil && strings.Contains(name, "IPv6") {
				t.Skip("this machine has no IPv6 to leak through")
			}
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			os.Setenv(plantVariable, name)
			defer os.Unsetenv(plantVariable)
			got := outside([]string{self})
			if got == exitNoNamespace {
				t.Skip("this machine makes no network namespace")
			}
			want := exitLoud
			if name == "nothing" || name == "unix and loopback" {
				want = 0
			}
			if got != want {
				t.Errorf("exit status: got %d, want %d", got, want)
			}
		})
	}
}

// The command's own failure must not be hidden by silence.
func TestExitCode(t *testing.T) {
	if got := exitCode(exec.Command("sh", "-c", "exit 3").Run()); got != 3 {
		t.Errorf("exit status: got %d, want 3", got)
	}
	if got := exitCode(errors.New("no such program")); got != 1 {
		t.Errorf("exit status: got %d, want 1", got)
	}
}

func TestCountersSince(t *testing.T) {
	before := counters{"Ip OutNoRoutes": 2}
	if got := (counters{"Ip OutNoRoutes": 2}).since(before); got != "" {
		t.Errorf("silence: got %q, want nothing", got)
	}
	if got := (counters{"Ip OutNoRoutes": 3}).since(before); !strings.Contains(got, "beyond this machine") {
		t.Errorf("a dial: got %q, want it named", got)
	}
}
