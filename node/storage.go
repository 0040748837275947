package node

import (
	"context"
	"crypto/subtle"
	"fmt"

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
	st, err := store.Open(store.Config{
		Dir:           n.cfg.StorageDir,
		TubID:         n.cfg.secrets.tubID,
		Witness:       n.cfg.Dir.path("private", "storage.witness"),
		ReservedSpace: n.cfg.ReservedSpace,
		ReadOnly:      n.cfg.ReadOnly,
		Now:           n.deps.Now,
		Log:           n.log,
	})
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

// authorize knows one authority: whoever has the announced swissnum.
func (n *Node) authorize(swissnum []byte) (storage.Server, bool) {
	ours := n.cfg.secrets.swissnum.Reveal()
	if subtle.ConstantTimeCompare(swissnum, []byte(ours)) != 1 {
		return nil, false
	}
	return n.storage, true
}
