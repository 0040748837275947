package main

import (
	"context"
	"fmt"
	"log/slog"

	"lafs/node"
	"lafs/onion"
	"lafs/onion/tor"
)

// A network is what a node runs on.
type network interface {
	onion.Network
	Status() onion.Status
	Close() error
}

// A networkMaker starts the network that a node's configuration asks for.
// dir is where it may keep what lasts, progress is told of its start.
type networkMaker func(ctx context.Context, cfg node.TorConfig, dir string, log *slog.Logger, progress func(onion.Status)) (network, error)

// startTor is the product's networkMaker, and the only way to one.
func startTor(ctx context.Context, cfg node.TorConfig, dir string, log *slog.Logger, progress func(onion.Status)) (network, error) {
	mode, err := tor.ParseMode(cfg.Mode)
	if err != nil {
		return nil, err
	}
	t, err := tor.Start(ctx, tor.Config{
		Mode:          mode,
		DataDir:       dir,
		Executable:    cfg.Executable,
		TorrcFragment: cfg.Fragment,
		LocalPort:     cfg.LocalPort,
		Log:           log,
		Progress:      progress,
	})
	if err != nil {
		return nil, fmt.Errorf("start Tor: %w", err)
	}
	return t, nil
}

// defaultTorMode is the mode of a node for which none was asked.
func defaultTorMode() string { return tor.DefaultMode().String() }

// checkTorMode refuses a mode that is none, before a directory is made.
func checkTorMode(mode string) error {
	if mode == "" {
		return nil
	}
	_, err := tor.ParseMode(mode)
	return err
}
