package mux

import (
	"bytes"
	"log/slog"
	"math"
	"time"

	"github.com/libp2p/go-yamux/v4"
)

const (
	// writeTimeout is how long a circuit may take no byte before the session
	// is given up: Tor stalls for tens of seconds and recovers.
	writeTimeout = 2 * time.Minute
	// maxMessage is how many bytes one stream sends before another's turn.
	maxMessage = 16 << 10
	// never is an interval that does not pass. yamux still measures the round
	// trip once, when a session starts.
	never = time.Duration(math.MaxInt64)

	clientWindow, clientMaxWindow = 1 << 20, 4 << 20
	serverWindow, serverMaxWindow = 512 << 10, 2 << 20
)

// yamuxConfig returns the settings that both sides share. An idle session
// says nothing: no keep-alive, no ping.
func yamuxConfig(log *slog.Logger) *yamux.Config {
	return &yamux.Config{
		AcceptBacklog:           streamsPerSession,
		PingBacklog:             4,
		EnableKeepAlive:         false,
		MeasureRTTInterval:      never,
		ConnectionWriteTimeout:  writeTimeout,
		InitialStreamWindowSize: serverWindow,
		MaxStreamWindowSize:     serverMaxWindow,
		LogOutput:               logWriter{log},
		ReadBufSize:             4096,
		MaxMessageSize:          frameHeader + maxMessage,
	}
}

// clientSession starts a session on a circuit that was dialled. It refuses
// streams that the server opens.
func clientSession(c *circuit, log *slog.Logger) (*yamux.Session, error) {
	cfg := yamuxConfig(log)
	cfg.MaxIncomingStreams = 0
	cfg.InitialStreamWindowSize, cfg.MaxStreamWindowSize = clientWindow, clientMaxWindow
	c.ended = &endings{open: map[uint32]bool{}}
	c.in.each = c.ended.came
	return yamux.Client(c, cfg, nil)
}

// serverSession starts a session on a circuit that was accepted; what it
// makes us buffer is counted in h.
func serverSession(c *circuit, log *slog.Logger, h *holding) (*yamux.Session, error) {
	cfg := yamuxConfig(log)
	cfg.MaxIncomingStreams = streamsPerSession
	c.in.each = h.count
	return yamux.Server(c, cfg, h.span)
}

// A logWriter turns lines of yamux and net/http into debug records. They are
// about peers, who must not be able to fill a log.
type logWriter struct{ log *slog.Logger }

const maxLogLine = 200

func (w logWriter) Write(p []byte) (int, error) {
	line := bytes.TrimSpace(p)
	if len(line) > maxLogLine {
		line = line[:maxLogLine]
	}
	w.log.Debug("session", "said", string(line))
	return len(p), nil
}
