package update

import (
	"context"
	"sync"
	"time"

	"lafs/node/grid"
	"lafs/shares/agree"
	"lafs/shares/caps"
	"lafs/shares/hashes"
	"lafs/shares/mutable"
	"lafs/shares/storage"
)

// An object is what the engine remembers of one object.
type object struct {
	si          caps.StorageIndex
	fingerprint hashes.Hash
	readKey     *caps.ReadKey
	format      mutable.Format

	mu     sync.Mutex
	layout *layout      // guarded by mu; installed; nil until learnt
	key    *mutable.Key // guarded by mu; nil until learnt
	// newest is the newest version known to be chosen, in ballot if sure;
	// guarded by mu. Its content may have been dropped: then it is nil.
	seq    uint64
	newest *version
	ballot agree.Ballot
	sure   bool
	at     time.Time // when newest was seen to be chosen; guarded by mu
	// asked is when the servers were asked whose answers showed newest: it was
	// the newest at some moment since. guarded by mu.
	asked time.Time
	news  chan struct{} // guarded by mu; closed when newest changes; nil if nobody waits
	held  int64         // guarded by the engine's mu; bytes of content remembered

	queue   []*change // guarded by mu; what waits for the next version
	running bool      // guarded by mu

	crowded time.Time // until when others are given a chance; of the one that runs
}

// maxObjects bounds the objects remembered.
const maxObjects = 4096

// object returns what is remembered of the object of a read cap.
func (e *Engine) object(r *caps.MutableReader) *object {
	si := r.StorageIndex()
	e.mu.Lock()
	defer e.mu.Unlock()
	o := e.objects[si]
	if o == nil || o.fingerprint != r.Fingerprint {
		o = &object{si: si, fingerprint: r.Fingerprint, readKey: r.Key}
		if r.MDMF {
			o.format = mutable.MDMF
		}
		for old := range e.objects {
			if len(e.objects) < maxObjects {
				break
			}
			e.forget(old)
		}
		e.forget(si) // of another key
		e.objects[si] = o
	}
	return o
}

// forget drops what is remembered of an object; who still works with it keeps
// it, and its contents do not count any more. The caller holds mu.
func (e *Engine) forget(si caps.StorageIndex) {
	if o := e.objects[si]; o != nil {
		e.cached -= o.held
		o.held = 0
		delete(e.objects, si)
	}
}

// remember notes a version that is chosen, and its content, as long as there
// is room. asked is when the servers were asked whose answers showed it.
func (e *Engine) remember(o *object, v *version, ballot agree.Ballot, sure bool, asked time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if v.id.Seq < o.seq {
		return
	}
	if o.seq == v.id.Seq && o.newest != nil && o.sure && !sure {
		return
	}
	kept := *v
	kept.shares = nil
	o.seq, o.newest, o.ballot, o.sure, o.at, o.asked = v.id.Seq, &kept, ballot, sure, time.Now(), asked
	if o.news != nil {
		close(o.news)
		o.news = nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.objects[o.si] != o {
		o.newest, o.sure = nil, false // nobody would ever count it off
		return
	}
	e.cached += int64(len(v.data)) - o.held
	o.held = int64(len(v.data))
	if e.cached > cachedBytes {
		e.cached -= o.held
		o.held, o.newest, o.sure = 0, nil, false
	}
}

// fetch is how much of each share a reading asks for.
func (o *object) fetch() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.newest == nil || o.newest.partial || o.key == nil || o.format != mutable.SDMF || time.Since(o.at) > freshFor {
		return firstFetch
	}
	return glance
}

// remembered returns a version if its content is here.
func (o *object) remembered(id agree.VersionID) *version {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.newest == nil || o.newest.id != id {
		return nil
	}
	v := *o.newest
	return &v
}

// since returns the version that was the newest at some moment since t, if
// this engine has seen one. Else the channel is closed when there is news.
func (o *object) since(t time.Time) (agree.VersionID, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.newest != nil && !o.newest.partial && o.asked.After(t) {
		return o.newest.id, nil
	}
	if o.news == nil {
		o.news = make(chan struct{})
	}
	return agree.VersionID{}, o.news
}

// known returns the newest version if it may still be that, for a write in
// one trip.
func (o *object) known() (*version, agree.Ballot) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.newest == nil || !o.sure || o.layout == nil || o.key == nil {
		return nil, agree.Ballot{}
	}
	v := *o.newest
	return &v, o.ballot
}

// doubt forgets that a version is still the newest.
func (o *object) doubt() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sure = false
}

func (o *object) privateKey() *mutable.Key {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.key
}

func (o *object) setKey(k *mutable.Key) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.key = k
}

func (o *object) place() *layout {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.layout
}

// learn notes a placement list that is installed; of two of one generation
// the first one stays. It returns the newest.
func (o *object) learn(l *layout) *layout {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.layout == nil || o.layout.generation < l.generation {
		o.layout = l
	}
	return o.layout
}

// oldest is the lowest sequence number that the newest version can have.
func (o *object) oldest() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.seq
}

// servers returns those on the list, in its order; one that is not known now
// has no Slots.
func (e *Engine) servers(l *layout) []grid.Server {
	known := map[string]grid.Server{}
	for _, s := range e.cfg.Servers() {
		known[s.ID] = s
	}
	out := make([]grid.Server, len(l.voters))
	for i, v := range l.voters {
		out[i] = known[v.id]
		out[i].ID = v.id
	}
	return out
}

// enabler is what a server asks of a writer.
func enabler(w *caps.MutableWriter, s grid.Server) *storage.WriteEnabler {
	e := storage.WriteEnabler(hashes.WriteEnabler(w.Key.Bytes(), s.TubID))
	return &e
}

// A change is one caller's change that waits to be carried out.
type change struct {
	ctx   context.Context
	apply func(old *version) ([]byte, error)
	done  chan struct{} // closed when err says what came of it
	err   error
}
