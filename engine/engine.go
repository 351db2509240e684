// Package engine runs guests: it turns a spec into a plan of plain-data steps,
// does them on the kernel one by one with an undo for each, and finds again
// what earlier commands left running. It keeps no process: the kernel and the
// files below the state root are all its memory.
package engine

import (
	"sort"
	"strconv"
	"sync"

	"github.com/rs/zerolog"

	"vsl/engine/cgroup"
	"vsl/engine/rootfs"
	"vsl/engine/store"
)

// Options for Open. The zero value is the host's own state root, silent.
type Options struct {
	Root     string // "" is /var/lib/vsl
	Log      zerolog.Logger
	Progress func(Progress) // called from any goroutine; may be nil
	Keep     bool           // leave what a failed run made, for a look at it
	Patient  bool           // flows may take as long as they like: somebody looks into them
}

// Progress is news of something slow. Total is 0 where nobody knows it.
type Progress struct {
	Subject     string // a guest or template
	Stage       string // "mmdebstrap", "boot", "ready"
	Done, Total int64
}

// Engine is one state root. It is safe for use by several goroutines.
type Engine struct {
	paths    store.Paths
	log      zerolog.Logger
	progress func(Progress)

	layout   func() (*cgroup.Layout, error) // read once, when first needed
	ensure   func() error
	xids     func()                    // looks for lost ones, once
	kinds    func() []rootfs.CloneKind // what the root's file system can do, tried once
	overlays func() bool               // it can do overlays

	keepFailed bool // leave what a failed run made, for a look at it
	patient    bool // flows are not bounded in time

	mu     sync.Mutex
	guests map[string]*guest
}

// Open looks at nothing yet: a command pays only for what it uses.
func Open(o Options) (*Engine, error) {
	paths, err := store.NewPaths(o.Root)
	if err != nil {
		return nil, err
	}
	e := &Engine{paths: paths, log: o.Log, progress: o.Progress, keepFailed: o.Keep, patient: o.Patient, guests: map[string]*guest{}}
	if e.progress == nil {
		e.progress = func(Progress) {}
	}
	e.layout = sync.OnceValues(cgroup.Detect)
	e.kinds = sync.OnceValue(func() []rootfs.CloneKind { return rootfs.Probe(paths.Root) })
	e.overlays = sync.OnceValue(func() bool { return rootfs.ProbeOverlay(paths.Root) == nil })
	e.ensure = sync.OnceValue(paths.Ensure)
	e.xids = sync.OnceFunc(e.lostXIDs)
	return e, nil
}

// Root is the folder that holds all state.
func (e *Engine) Root() string { return e.paths.Root }

func (e *Engine) templates() *rootfs.Store {
	return &rootfs.Store{Dir: e.paths.Templates()}
}

// group is a guest's cgroup, existing or not.
func (e *Engine) group(name string) (*cgroup.Group, error) {
	l, err := e.layout()
	if err != nil {
		return nil, err
	}
	return l.Group(e.paths.Base(), name), nil
}

// New gives the handle of a declared guest; nothing is created. If the guest
// exists already, the handle is on it and spec is what it should become.
func (e *Engine) New(spec *Spec) (Guest, error) { return e.handle(spec) }

func (e *Engine) handle(spec *Spec) (*guest, error) {
	if err := store.ValidName(spec.Name); err != nil {
		return nil, &SpecError{Pos: spec.Pos, Guest: spec.Name, Msg: err.Error()}
	}
	rec, err := e.readRecord(spec.Name)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	g := &guest{e: e, spec: spec, rec: rec}
	e.guests[spec.Name] = g
	return g, nil
}

// Lookup finds an existing guest by its name or xid.
func (e *Engine) Lookup(name string) (Guest, error) { return e.lookup(name) }

func (e *Engine) lookup(name string) (*guest, error) {
	if n, err := strconv.Atoi(name); err == nil {
		if owner := e.paths.XIDOwner(n); owner != "" {
			name = owner
		}
	}
	if store.ValidName(name) != nil {
		return nil, unknownGuest(name, e.names())
	}
	e.mu.Lock()
	g := e.guests[name]
	e.mu.Unlock()
	if g != nil {
		return g, nil
	}
	rec, err := e.readRecord(name)
	if err != nil {
		return nil, err
	}
	if rec == nil {
		return nil, unknownGuest(name, e.names())
	}
	return &guest{e: e, spec: rec.Spec, rec: rec}, nil
}

// List gives every guest of this root in the order of their names, and apart from
// them those that cannot be read.
func (e *Engine) List() (all []Guest, bad []*Damage, err error) {
	names, err := store.Names(e.paths.Guests())
	if err != nil {
		return nil, nil, err
	}
	sort.Strings(names)
	for _, n := range names {
		rec, err := e.readRecord(n)
		if d := asDamage(err); d != nil {
			bad = append(bad, d)
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		if rec != nil {
			all = append(all, &guest{e: e, spec: rec.Spec, rec: rec})
		}
	}
	return all, bad, nil
}

func (e *Engine) names() []string {
	names, _ := store.Names(e.paths.Guests())
	return names
}

// Origin says where a guest's recipe came from, and the folder that keeps it.
func (e *Engine) Origin(name string) (Origin, string, error) {
	rec, err := e.readRecord(name)
	if err != nil {
		return Origin{}, "", err
	}
	if rec == nil {
		return Origin{}, "", unknownGuest(name, e.names())
	}
	return rec.Recipe, e.paths.Recipe(name), nil
}
