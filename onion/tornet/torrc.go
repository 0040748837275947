package tornet

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// layout is what the torrc files say of one attempt to start the servers.
type layout struct {
	dir       string
	authority string // the DirAuthority line
	delayed   bool
	ports     *heldPorts
}

func newLayout(cfg Config, keys *authorityKeys, ports *heldPorts) *layout {
	return &layout{
		dir:     cfg.Dir,
		delayed: cfg.Delay > 0,
		ports:   ports,
		authority: fmt.Sprintf("DirAuthority %s orport=%d no-v2 v3ident=%s 127.0.0.1:%d %s",
			authorityName, ports.advertised(0), keys.v3Identity, ports.dir(), keys.fingerprint),
	}
}

// write makes the data directories and torrc files of all servers, and the
// fragment for everybody else.
func (l *layout) write(keys *authorityKeys) error {
	for i, name := range serverNames() {
		dir := filepath.Join(l.dir, name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
		if err := writeLines(filepath.Join(dir, "torrc"), l.server(i, name)); err != nil {
			return err
		}
	}
	if err := writeLines(filepath.Join(l.dir, fragmentFile), l.shared()); err != nil {
		return err
	}
	return keys.write(filepath.Join(l.dir, authorityName))
}

// shared is the fragment that every tor of the network has.
func (l *layout) shared() []string {
	empty := filepath.Join(l.dir, emptyFile)
	return []string{
		"TestingTorNetwork 1",
		l.authority,
		"GeoIPFile " + empty,
		"GeoIPv6File " + empty,
		"VanguardsLiteEnabled auto",
		"ShutdownWaitLength 0",
		"AvoidDiskWrites 1",
		"NumCPUs 1",
	}
}

func (l *layout) server(i int, name string) []string {
	lines := append(l.shared(), private(l.dir, name)...)
	lines = append(lines,
		"Nickname "+name,
		"Address 127.0.0.1",
		"SocksPort 0",
		"ExitRelay 0",
		"ExitPolicy reject *:*",
		"AssumeReachable 1",
	)
	if l.delayed {
		lines = append(lines,
			fmt.Sprintf("ORPort 127.0.0.1:%d NoListen", l.ports.advertised(i)),
			fmt.Sprintf("ORPort 127.0.0.1:%d NoAdvertise", l.ports.real(i)))
	} else {
		lines = append(lines, fmt.Sprintf("ORPort 127.0.0.1:%d", l.ports.advertised(i)))
	}
	if name != authorityName {
		return lines
	}
	return append(lines,
		"AuthoritativeDirectory 1",
		"V3AuthoritativeDirectory 1",
		fmt.Sprintf("DirPort 127.0.0.1:%d", l.ports.dir()),
		"ContactInfo tornet@test.invalid",
		"AuthDirTestReachability 0",
		"TestingDirAuthVoteGuard *",
		"TestingDirAuthVoteHSDir *",
		"TestingMinExitFlagThreshold 0",
		"TestingV3AuthInitialVoteDelay 2",
		"TestingV3AuthInitialDistDelay 2",
		"V3AuthVotingInterval 300",
		"V3AuthVoteDelay 2",
		"V3AuthDistDelay 2",
		// The first vote is far away until voteNow calls it.
		"TestingV3AuthInitialVotingInterval 300",
		fmt.Sprintf("TestingV3AuthVotingStartOffset %d", (time.Now().Unix()+150)%300),
		"ConsensusParams cc_alg=2",
	)
}

// private is what belongs to one tor: its places on the disk.
func private(dir, name string) []string {
	return []string{
		"DataDirectory " + filepath.Join(dir, name),
		"ControlSocket " + controlPath(dir, name),
		"CookieAuthentication 0",
		"Log notice file " + filepath.Join(dir, name, "log"),
	}
}

// clientTorrc is the whole torrc of a client: the fragment and its own.
func clientTorrc(dir, name string) ([]string, error) {
	shared, err := os.ReadFile(filepath.Join(dir, fragmentFile))
	if err != nil {
		return nil, err
	}
	lines := strings.Split(strings.TrimSpace(string(shared)), "\n")
	lines = append(lines, private(dir, name)...)
	return append(lines, "SocksPort unix:"+socksPath(dir, name)+" ExtendedErrors"), nil
}

func writeLines(path string, lines []string) error {
	return os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600)
}
