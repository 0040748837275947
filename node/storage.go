package node

import (
	"context"
	"crypto/subtle"
	"fmt"
	"log/slog"
	"time"

	"lafs/introducer"
	"lafs/node/durable"
	"lafs/node/store"
	"lafs/shares/storage"
	"lafs/shares/storage/gbs"
)

// buildStorage makes the node a storage server.
func (n *Node) buildStorage() error {
	if err := durable.Mkdir(n.cfg.StorageDir, dirMode); err != nil {
		return fmt.Errorf("make storage directory: %w", err)
	}
	if err := introducer.CheckNickname(n.cfg.Nickname); err != nil {
		return settingError("node", "nickname", "%w", err)
	}
	st, err := store.Open(storeConfig(n.cfg, n.cfg.secrets, n.deps.Now, n.log))
	if err != nil {
		return fmt.Errorf("open storage: %w", err)
	}
	n.storage = st
	n.parts = append(n.parts, part{
		name:  "storage",
		run:   func(ctx context.Context) error { st.Run(ctx); return nil },
		close: st.Close,
	})
	n.publish("storage", gbs.NewHandler(gbs.HandlerConfig{Authorize: n.authorize, Log: n.log}))
	return nil
}

func storeConfig(c *Config, s *secrets, now func() time.Time, log *slog.Logger) store.Config {
	return store.Config{
		Dir:           c.StorageDir,
		TubID:         s.tubID,
		Witness:       c.Dir.path("private", "storage.witness"),
		ReservedSpace: c.ReservedSpace,
		ReadOnly:      c.ReadOnly,
		Now:           now,
		Log:           log,
	}
}

// authorize knows one authority: whoever has the announced swissnum.
func (n *Node) authorize(swissnum []byte) (storage.Server, bool) {
	ours := n.cfg.secrets.swissnum.Reveal()
	if subtle.ConstantTimeCompare(swissnum, []byte(ours)) != 1 {
		return nil, false
	}
	return n.storage, true
}
