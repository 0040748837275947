package node

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"lafs/introducer"
	"lafs/node/durable"
	"lafs/node/store"
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
	book, err := n.cfg.openAuthorities()
	if err != nil {
		return err
	}
	st, err := store.Open(storeConfig(n.cfg, n.cfg.secrets, n.deps.Now, n.log))
	if err != nil {
		return fmt.Errorf("open storage: %w", err)
	}
	n.storage, n.book = st, book
	n.setQuotas()
	n.parts = append(n.parts, part{
		name:  "storage",
		run:   func(ctx context.Context) error { st.Run(ctx); return nil },
		close: st.Close,
	})
	handler := gbs.NewHandler(gbs.HandlerConfig{Authorize: n.authorize, Budget: n.budget, Log: n.log})
	n.publish("storage", n.traffic.handler(handler), n.cfg.secrets.door)
	return nil
}

func storeConfig(c *Config, s *secrets, now func() time.Time, log *slog.Logger) store.Config {
	return store.Config{
		Dir:           c.StorageDir,
		TubID:         s.tubID,
		Witness:       c.Dir.path("private", "storage.witness"),
		ReservedSpace: c.ReservedSpace,
		ReadOnly:      c.ReadOnly,
		Expire:        c.Expire,
		Now:           now,
		Log:           log,
	}
}
