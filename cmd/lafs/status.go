package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"lafs/node"
)

func (a *app) statusCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show Tor, introducers, servers and own storage at a glance",
		Example: `  lafs status
  lafs status --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.status(cmd.Context(), asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON, for programs")
	return cmd
}

// maxStatus bounds the node's answer, in bytes.
const maxStatus = 16 << 20

func (a *app) status(ctx context.Context, asJSON bool) error {
	resp, err := a.running().call(ctx, "GET", node.StatusPath, nil, 0)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var s node.Status
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxStatus)).Decode(&s); err != nil {
		return fmt.Errorf("read the node's status: %w", err)
	}
	if asJSON {
		out := json.NewEncoder(a.stdout)
		out.SetIndent("", "  ")
		return out.Encode(s)
	}
	return showStatus(a.stdout, &s)
}

func showStatus(out io.Writer, s *node.Status) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintf(w, "node\t%s\n", nodeLine(s))
	fmt.Fprintf(w, "tor\t%s\n", torLine(&s.Tor))
	if s.Tor.Defences != "" {
		fmt.Fprintf(w, "  against floods\t%s\n", printable(s.Tor.Defences))
	}
	if s.Announced != nil {
		fmt.Fprintf(w, "announced\t%s\n", plural(*s.Announced, "storage server"))
	}
	for _, in := range s.Introducers {
		fmt.Fprintf(w, "introducer\t%s\t%s, %s\n", printable(in.Petname), orElse(in.Detail, connected(in.Connected)), plural(in.Servers, "server"))
	}
	if s.Role == "client" {
		up := 0
		for _, sv := range s.Servers {
			if sv.Connected {
				up++
			}
		}
		text := fmt.Sprintf("%d known, %d connected now", len(s.Servers), up)
		if len(s.Servers) > 0 && up == 0 {
			// Nothing is wrong with a node that has just started, or rests.
			text += ": each is connected to when a command first needs it, and closed again when it is idle"
		}
		fmt.Fprintf(w, "servers\t%s\n", text)
	}
	for i := range s.Servers {
		fmt.Fprintf(w, "  %s\t%s\t%s\n", shortID(s.Servers[i].ID), printable(s.Servers[i].Nickname), serverLine(&s.Servers[i]))
	}
	for _, r := range s.Refused {
		fmt.Fprintf(w, "not used\t%s\t%s\n", printable(r.Name), printable(r.Reason))
	}
	if st := s.Storage; st != nil {
		fmt.Fprintf(w, "storage\t%s\n", storageLine(st))
		fmt.Fprintf(w, "leases\t%d\n", st.Leases)
		fmt.Fprintf(w, "traffic\tlast hour %s; since the start %s\n", trafficText(&st.Hour), trafficText(&st.Since))
		if st.Advisories > 0 {
			fmt.Fprintf(w, "advisories\t%s reported to be corrupt: see corruption-advisories in the storage directory\n", plural(st.Advisories, "share"))
		}
	}
	if s.Load != nil {
		fmt.Fprintf(w, "load\t%s\n", loadLine(s.Load))
	}
	for _, t := range s.Troubles {
		fmt.Fprintf(w, "%s\t%s ago, %s\t%s\n", t.Level, humanTime(time.Since(t.Last)), plural(t.Count, "time"), printable(t.Text))
	}
	return w.Flush()
}

func nodeLine(s *node.Status) string {
	text := s.Role
	if s.Storage != nil {
		text += " and storage server"
	}
	if s.Nickname != "" {
		text += ", " + printable(s.Nickname)
	}
	if s.Role == "client" {
		text += fmt.Sprintf(", files are %d of %d, on at least %s", s.Needed, s.Total, plural(s.Happy, "server"))
	}
	if !s.Ready {
		text += ", starting"
	}
	return text
}

func torLine(t *node.TorStatus) string {
	parts := []string{t.Mode}
	if t.Version != "" {
		parts = append(parts, t.Version)
	}
	switch {
	case t.Bootstrap == 100:
		parts = append(parts, "connected")
	case t.Bootstrap >= 0:
		parts = append(parts, fmt.Sprintf("%d%%", t.Bootstrap))
		if t.Summary != "" {
			parts = append(parts, t.Summary)
		}
	default:
		parts = append(parts, "state unknown")
	}
	if t.Circuits != nil && !*t.Circuits && t.Bootstrap == 100 {
		parts = append(parts, "no circuit")
	}
	if t.Services > 0 {
		text := fmt.Sprintf("%d of %s published", t.Published, plural(t.Services, "own service"))
		if t.Uploads+t.FailedUploads > 0 {
			text += fmt.Sprintf(" (%d directories have a descriptor, %d failed)", t.Uploads, t.FailedUploads)
		}
		parts = append(parts, text)
	}
	if t.Warning != "" {
		parts = append(parts, t.Warning)
	}
	return printable(strings.Join(parts, ", "))
}

func serverLine(s *node.ServerStatus) string {
	var parts []string
	switch {
	case s.Source == "self":
		parts = append(parts, "this node")
	case s.Connected:
		parts = append(parts, "connected, "+plural(s.Lanes, "circuit"))
	default:
		parts = append(parts, "not connected")
	}
	if !s.LastUsed.IsZero() {
		word := "used "
		if s.LastError != "" {
			word = "tried "
		}
		parts = append(parts, word+humanTime(time.Since(s.LastUsed))+" ago")
	}
	if s.Stale {
		parts = append(parts, "not announced for long: gets no new shares")
	}
	if s.OnlyTahoe {
		parts = append(parts, "Tahoe's protocol only: changes are agreed on by clients alone")
	}
	if s.LastError != "" {
		parts = append(parts, printable(s.LastError))
	}
	return strings.Join(parts, ", ")
}

func trafficText(t *node.Traffic) string {
	text := fmt.Sprintf("%s, %s in, %s out", plural(int(t.Requests), "request"), humanSize(t.Received), humanSize(t.Sent))
	if t.Failed > 0 {
		text += fmt.Sprintf(", %d failed", t.Failed)
	}
	return text
}

func storageLine(s *node.StorageStatus) string {
	text := fmt.Sprintf("%s, %s held, %s free", plural(int(s.Shares), "share"), humanSize(s.Bytes), humanSize(s.Available))
	if s.ReadOnly {
		text += ", read-only"
	}
	if !s.Published {
		text += ", not published yet"
	}
	if s.StateLost {
		text += "; ITS VOTES ARE LOST (the storage directory is another or an older one): files are served, changes of directories are not." +
			" Bring the right one back, or make a new server: lafs storage new-identity"
	}
	return text
}

// loadLine tells how full the node is of others, and of a flood.
func loadLine(l *node.LoadStatus) string {
	text := fmt.Sprintf("%d of %s, %d busy, %s in memory", l.Sessions, plural(l.MaxSessions, "session"), l.Busy, humanSize(l.Bytes))
	for _, x := range []struct {
		n    int64
		what string
	}{{l.Dropped, "made room for others"}, {l.Cut, "were cut for what they left in memory"}, {l.Refused, "found no room"}} {
		if x.n > 0 {
			text += fmt.Sprintf(", %d %s", x.n, x.what)
		}
	}
	if l.Busied > 0 {
		text += fmt.Sprintf("; %s found no room", plural(int(l.Busied), "request"))
	}
	return text
}

func connected(yes bool) string {
	if yes {
		return "connected"
	}
	return "not connected"
}

func orElse(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return printable(s)
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	if strings.HasSuffix(what, "x") {
		what += "e"
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func shortID(id string) string {
	id = strings.TrimPrefix(id, "v0-")
	return id[:min(8, len(id))]
}
