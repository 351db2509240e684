// Package lua reads recipes: it gives the guests that a Lua file declares as
// plain data, and their flows as Go functions.
package lua

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"time"

	glua "github.com/yuin/gopher-lua"

	"vsl/engine"
	"vsl/lua/api"
	"vsl/lua/bind"
	"vsl/lua/modules"
	"vsl/lua/runtime"
	"vsl/stdlib"
)

// readTime is how long reading a recipe may take: it only declares.
var readTime = 10 * time.Second

// RuntimeError is an error in Lua code, with the lines that led to it.
type RuntimeError = runtime.RuntimeError

// Frame is one call that led to an error.
type Frame = runtime.Frame

// Line is a line of a recipe, shown with an error.
type Line = runtime.Line

// Mistake is an error in what a recipe declares.
type Mistake = bind.Error

// ExecError is a command that failed in a guest although check = true.
type ExecError = api.ExecError

// Param is a value that a recipe takes from the command line.
type Param = bind.Param

// Given is a parameter's value as somebody wrote it.
type Given = bind.Given

// Options say what a recipe is given and what it may reach.
type Options struct {
	Engine    api.Engine                                       // makes and finds guests; nil is enough for reading
	Params    map[string]string                                // values given with -p
	More      map[string]Given                                 // values given elsewhere, such as in a file; Params win
	LookupEnv func(name string) (string, bool)                 // where values come from at last; may be nil
	Optional  bool                                             // no parameter has to be given: to see which there are
	AllowHost bool                                             // host paths outside the recipe's folder
	Sleep     func(ctx context.Context, d time.Duration) error // how flows wait; nil is real time
	Stdout    io.Writer                                        // of print; nil is os.Stdout
	Stderr    io.Writer                                        // of log.info and its kin; nil is os.Stderr
	Stdlib    fs.FS                                            // nil is the embedded one
	Dir       string                                           // folder that modules and relative paths begin at; "" is the recipe's
	Files     string                                           // folder that relative paths of the host begin at, where that is not Dir
	UserDir   string                                           // where require looks after Dir, modules.UserFolder; "" is nowhere
	Trust     modules.Check                                    // of each module in Dir; nil trusts them

	// Debugger is told of what runs, and may stop it; nil is none. It is for one recipe.
	Debugger api.Debugger
	DebugAll bool // also texts that do not call breakpoint

	// Remove removes a guest that a session made, to take it back; nil is enough for recipes.
	Remove func(ctx context.Context, name string) error

	// Up and Down are what a session's up and down do; nil runs the flows alone,
	// without provisioning and without building templates.
	Up   func(ctx context.Context, d engine.Declared) error
	Down func(ctx context.Context, name string) error
}

// Recipe is a recipe that was read. Its flows run until Close.
type Recipe struct {
	Path      string
	Guests    []engine.Declared
	Templates []*engine.Template
	Params    []*Param
	Pools     []*engine.Pool
	// BuildFlows are the build flows of templates by name.
	BuildFlows map[string]engine.Flow
	// Default are the flows of guests that have none of their own.
	Default engine.Flows
	// Files are the modules that were read.
	Files []modules.File

	api     *api.API
	patient bool // reading may take its time
}

// Load reads a recipe. Reading changes nothing outside the Lua state. The
// error joins all mistakes found: *Mistake for what is declared wrongly and for
// globals that do not exist, *RuntimeError for code that failed.
func Load(ctx context.Context, path string, src []byte, o Options) (*Recipe, error) {
	if src == nil {
		var err error
		if src, err = engine.ReadPlain(path, modules.MaxSize); err != nil {
			return nil, &engine.OpError{Op: "read recipe", Target: path, Err: pathCause(err)}
		}
	}
	if o.Dir == "" {
		dir, err := filepath.Abs(filepath.Dir(path))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, &engine.OpError{Op: "read recipe", Target: path, Err: err}
		}
		o.Dir = dir // "" where the working directory was removed: a recipe that came with vsl needs none
	}
	s := newState(o, false)
	a := api.Open(s, apiOptions(o))
	r := &Recipe{Path: path, api: a, patient: o.DebugAll}
	if err := r.read(ctx, src); err != nil {
		s.Close()
		return nil, err
	}
	if err := r.collect(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return r, nil
}

func newState(o Options, session bool) *runtime.State {
	lib := o.Stdlib
	if lib == nil {
		lib = stdlib.FS
	}
	ro := runtime.Options{Dir: o.Dir, UserDir: o.UserDir, Trust: o.Trust, Stdlib: lib, Stdout: o.Stdout, Session: session, HookAll: o.DebugAll}
	if o.Debugger != nil {
		ro.Hook = o.Debugger
	}
	return runtime.New(ro)
}

func apiOptions(o Options) api.Options {
	return api.Options{Engine: o.Engine, Dir: cmp.Or(o.Files, o.Dir), Params: o.Params, More: o.More, LookupEnv: o.LookupEnv,
		Optional: o.Optional, AllowHost: o.AllowHost, Sleep: o.Sleep, Remove: o.Remove, Log: o.Stderr, Debugger: o.Debugger}
}

func pathCause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// read runs the recipe's text and gives its mistakes.
func (r *Recipe) read(ctx context.Context, src []byte) error {
	if !r.patient { // somebody may be looking at it
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, readTime, fmt.Errorf("reading the recipe took longer than %s", readTime))
		defer cancel()
	}
	return read(ctx, r.api, r.Path, src)
}

// read runs a text that only declares, and gives its mistakes.
func read(ctx context.Context, a *api.API, path string, src []byte) error {
	s := a.S
	s.SetReading(true)
	defer s.SetReading(false)
	return s.Do(ctx, func(l *glua.LState) error {
		fn, mistakes, err := s.Compile(path, src)
		if err != nil {
			return err
		}
		s.Report(mistakes...)
		if _, err = s.Call(l, fn); err != nil {
			// After a stand-in was used, a plain Lua error most likely follows from it.
			var re *RuntimeError
			if !(a.HandedOut && errors.As(err, &re) && re.Cause == nil) {
				s.Report(err)
			}
		} else {
			a.Finish()
		}
		return joined(s.Reported())
	})
}

// joined joins mistakes in the order of their lines, each once.
func joined(errs []error) error {
	seen := map[string]bool{}
	var out []error
	for _, e := range errs {
		if !seen[e.Error()] {
			seen[e.Error()] = true
			out = append(out, e)
		}
	}
	sortByLine(out)
	return errors.Join(out...)
}

// collect makes the engine's view of what was declared.
func (r *Recipe) collect(ctx context.Context) error {
	var err error
	if r.Default, err = defaults(ctx, r.api); err != nil {
		return err
	}
	r.Templates, r.Params, r.Pools, r.Files = r.api.Templates, r.api.Params, r.api.Pools, r.api.S.Files()
	r.BuildFlows = map[string]engine.Flow{}
	for name, fn := range r.api.Builds {
		r.BuildFlows[name] = r.api.BuildFlow(fn)
	}
	for _, d := range r.api.Guests {
		r.Guests = append(r.Guests, Declare(r.api, d, r.Default))
	}
	return nil
}

// Declare gives the engine's view of one guest.
func Declare(a *api.API, d *api.Decl, def engine.Flows) engine.Declared {
	a.ExpandAfter(d.Spec)
	d.Spec.Ends = a.Ends(d)
	flow := func(phase string) engine.Flow { return a.Flow(phase, d.Flows[phase]) }
	out := engine.Declared{Spec: d.Spec, Provisions: a.Provisions(d), Flows: engine.Flows{
		Provision: flow("provision"), Boot: flow("boot"), Ready: a.ReadyFlow(d.Flows["ready"]), Run: flow("run"),
		Shutdown: flow("shutdown"), Destroy: flow("destroy"),
		Before: map[string]engine.Flow{}, After: map[string]engine.Flow{}, OnFail: a.FailFlow(d.Flows[bind.OnFail]),
	}}
	for _, phase := range engine.Phases {
		if hook := flow("before " + phase); hook != nil {
			out.Flows.Before[phase] = hook
		}
		if hook := flow("after " + phase); hook != nil {
			out.Flows.After[phase] = hook
		}
	}
	if p := d.Spec.Ready; p != nil && p.Kind == "default" {
		out.Flows.Ready = api.DefaultReady(*p)
	}
	if out.Flows.Boot == nil {
		out.Flows.Boot = def.Boot
	}
	if out.Flows.Shutdown == nil {
		out.Flows.Shutdown = def.Shutdown
	}
	if d.Spec.Template != nil {
		out.BuildTemplate = a.BuildFlow(a.Builds[d.Spec.Template.Name])
	}
	return out
}

// Given are the values of parameters that somebody gave, to read the recipe
// again by; nil where there are none.
func (r *Recipe) Given() map[string]string {
	var m map[string]string
	for _, p := range r.Params {
		if p.Given == nil {
			continue
		}
		if m == nil {
			m = map[string]string{}
		}
		m[p.Name] = *p.Given
	}
	return m
}

// Close ends the recipe's Lua state; its flows cannot run any more.
func (r *Recipe) Close() {
	if r.api != nil {
		r.api.S.Close()
	}
}

// Defaults gives the default flows without a recipe: what brings down a guest
// whose recipe has no flow of its own.
func Defaults(o Options) (engine.Flows, error) {
	s := newState(o, false)
	return defaults(context.Background(), api.Open(s, apiOptions(o)))
}

// defaults takes boot and shutdown from vsl.flows. Provision and Ready stay
// nil: the engine has nothing to provision and probes by itself.
func defaults(ctx context.Context, a *api.API) (engine.Flows, error) {
	v, err := a.S.Module(ctx, "vsl.flows")
	if err != nil {
		return engine.Flows{}, err
	}
	t, ok := v.(*glua.LTable)
	if !ok {
		return engine.Flows{}, errors.New("vsl.flows does not return a table")
	}
	boot, ok := t.RawGetString("boot").(*glua.LFunction)
	shutdown, ok2 := t.RawGetString("shutdown").(*glua.LFunction)
	if !ok || !ok2 {
		return engine.Flows{}, errors.New("vsl.flows has no boot or no shutdown")
	}
	return engine.Flows{Boot: a.Flow("boot", boot), Shutdown: a.Flow("shutdown", shutdown)}, nil
}
