package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"lafs/node/durable"
	"lafs/node/store"
	"lafs/node/takeover"
	"lafs/shares/storage"
)

// ImportOptions say how a storage server of Tahoe-LAFS's is taken over.
type ImportOptions struct {
	// Link makes hard links instead of copies, which needs one file system
	// for both directories; Trust leaves out the check of contents.
	Link, Trust bool
	// SharesOnly leaves the node who it is, instead of making it the server
	// that is taken over.
	SharesOnly bool
	// DryRun changes nothing.
	DryRun bool
	// Progress and Left are as in takeover.Config; nil is nobody.
	Progress func(takeover.Summary)
	Left     func(takeover.Left)
	// Now is the clock of leases; nil is time.Now.
	Now func() time.Time
	// Log gets no secrets; nil discards.
	Log *slog.Logger
}

// An ImportSummary is what was done, or would be.
type ImportSummary struct {
	takeover.Summary
	DryRun bool `json:"dry_run"`
	// Identity names what the node has from the other server, and Notices
	// are for the operator. Neither is secret.
	Identity []string `json:"identity"`
	Notices  []string `json:"notices"`
}

// What private/import says. While it is unfinished the node does not run:
// a server with a part of its slots would give votes that it must not give.
const (
	importUnfinished = "unfinished"
	sharesUnfinished = "unfinished, shares only"
	importFinished   = "finished"
)

func (d Dir) importFile() string { return d.path("private", "import") }

// ImportLeftFile is where an import lists the shares that it left.
func (d Dir) ImportLeftFile() string { return d.path("import-left.txt") }

// importState is "" for a node that nothing was imported into.
func (d Dir) importState() (string, error) {
	state, err := readLine(d.importFile())
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	switch {
	case err != nil, state == importFinished, state == importUnfinished, state == sharesUnfinished:
		return state, err
	}
	return "", errors.New("private/import is damaged: it should say finished or unfinished")
}

// refuseUnfinished keeps a node from running half imported.
func (d Dir) refuseUnfinished() error {
	state, err := d.importState()
	if err == nil && state != "" && state != importFinished {
		return errors.New("the import of a Tahoe-LAFS server into this node was not finished: run lafs storage import again")
	}
	return err
}

// Import makes the node of a directory, which must be a storage server that
// does not run, take over a storage server of Tahoe-LAFS's: its shares with
// their leases and, unless it has an identity that it used already, who it
// is. tahoe is the other server's node directory, or its storage directory
// alone. It can be cut off at any instant and run again.
//
// The other server must not run, now or ever again: two servers with one
// identity would each lose what the other promised.
func Import(ctx context.Context, dir, tahoe string, o ImportOptions) (*ImportSummary, error) {
	c, err := read(dir)
	if err != nil {
		return nil, err
	}
	if !c.Storage {
		return nil, errors.New("this node is no storage server: set [storage] enabled = true in its tahoe.cfg, or make one with lafs create-node")
	}
	from, err := openTahoe(tahoe)
	if err != nil {
		return nil, err
	}
	if err := from.refuseSame(c); err != nil {
		return nil, err
	}
	if err := from.tell(c); err != nil {
		return nil, err
	}
	im := &importer{c: c, from: from, o: o, sum: &ImportSummary{DryRun: o.DryRun, Identity: []string{}, Notices: []string{}}}
	if o.DryRun {
		return im.sum, im.dry(ctx)
	}
	hold, err := Hold(c.Dir)
	if err != nil {
		return nil, err
	}
	defer hold.Release()
	return im.sum, im.run(ctx)
}

// An importer is one call of Import.
type importer struct {
	c    *Config
	from *otherServer
	o    ImportOptions
	sum  *ImportSummary
}

// dry says what run would do.
func (im *importer) dry(ctx context.Context) error {
	tub, err := im.plan()
	if err != nil {
		return err
	}
	return im.shares(ctx, nil, tub)
}

// plan decides about the identity, and returns the tub id that the node will
// have, zero if it is not known yet.
func (im *importer) plan() (tub [20]byte, err error) {
	d := im.c.Dir
	state, err := d.importState()
	if err != nil {
		return tub, err
	}
	own, err := readLine(d.path("private", "node.privkey"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return tub, err
	}
	switch {
	case im.o.SharesOnly || len(im.from.identity) == 0:
		im.notice("the node stays who it is: mutable files and directories of the other server can be read here, and not be written")
		im.from.identity = nil
	case (state == importFinished || state == sharesUnfinished) && own == im.from.nodeKey:
		// An earlier import has done that.
		im.from.identity = nil
		return im.from.tubID, nil
	case state != importUnfinished:
		if err := refuseUsedIdentity(im.c); err != nil {
			return tub, err
		}
	}
	if im.from.identity == nil {
		return tub, nil
	}
	for _, f := range im.from.identity {
		im.sum.Identity = append(im.sum.Identity, f.what)
	}
	im.sum.Notices = append(im.sum.Notices, im.from.notices...)
	return im.from.tubID, nil
}

func (im *importer) notice(text string) { im.sum.Notices = append(im.sum.Notices, text) }

// refuseUsedIdentity keeps a node that others know from becoming another.
func refuseUsedIdentity(c *Config) error {
	used := false
	if _, err := os.Lstat(c.Dir.path("announcement-seqnum")); err == nil {
		used = true
	}
	for _, name := range []string{"shares", "slots"} {
		entries, err := os.ReadDir(filepath.Join(c.StorageDir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("look at the storage directory: %w", err)
		}
		used = used || len(entries) > 0
	}
	if used {
		return errors.New("this node has been used under an identity of its own: make a new one with lafs create-node and import into that, or leave the other's identity out (--shares-only)")
	}
	return nil
}

// run takes everything over.
func (im *importer) run(ctx context.Context) error {
	d := im.c.Dir
	if err := d.prepare(); err != nil {
		return err
	}
	if _, err := im.plan(); err != nil {
		return err
	}
	state := importUnfinished
	if im.from.identity == nil {
		state = sharesUnfinished
	}
	if err := durable.WriteFile(d.importFile(), []byte(state+"\n"), fileMode); err != nil {
		return fmt.Errorf("note the import: %w", err)
	}
	for _, f := range im.from.identity {
		if err := durable.WriteFile(f.path(im.c), []byte(f.text), fileMode); err != nil {
			return fmt.Errorf("write %s: %w", f.what, err)
		}
	}
	s, err := loadSecrets(im.c)
	if err != nil {
		return err
	}
	st, err := store.Open(storeConfig(im.c, s, im.o.Now, im.o.Log))
	if err != nil {
		return fmt.Errorf("open storage: %w", err)
	}
	err = im.shares(ctx, st, s.tubID)
	if cerr := st.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	if err := durable.WriteFile(d.importFile(), []byte(importFinished+"\n"), fileMode); err != nil {
		return fmt.Errorf("note the import: %w", err)
	}
	return nil
}

// shares takes the shares over; a nil store is a dry run.
func (im *importer) shares(ctx context.Context, st *store.Store, tub [20]byte) (err error) {
	im.sum.Summary, err = takeover.Run(ctx, takeover.Config{
		From: im.from.storage, Store: st, TubID: tub, Link: im.o.Link, Trust: im.o.Trust, Progress: im.o.Progress, Left: im.o.Left,
	})
	switch {
	case errors.Is(err, storage.ErrNoSpace):
		return errors.New("there is no room for the copies: free some, lower reserved_space in tahoe.cfg, or use --link, which makes none")
	case errors.Is(err, store.ErrLink):
		return errors.New("hard links can not be made from one directory to the other: they must be on one file system, and the files be yours; leave --link out to copy")
	}
	if n := im.sum.Foreign; n > 0 && tub != [20]byte{} && tub == im.from.tubID {
		im.notice(fmt.Sprintf("%d mutable objects were moved to the other server from a third one: they can be read, and not be written here", n))
	}
	return err
}
