// Package test runs tests of recipes: files *_test.lua, written with describe, it
// and expect. A test reads a recipe, brings its guests up, in memory or on the
// kernel, and looks at what came of it.
package test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	glua "github.com/yuin/gopher-lua"

	"vsl/engine"
	"vsl/lua"
	"vsl/lua/api"
	"vsl/lua/bind"
	"vsl/lua/modules"
	"vsl/lua/runtime"
	"vsl/stdlib"
)

// Suffix is how the names of test files end.
const Suffix = "_test.lua"

// Bench is where recipes are tried. Each test has one of its own.
type Bench interface {
	api.Engine
	Build(ctx context.Context, r *Loaded, template string) error
	Up(ctx context.Context, r *Loaded, names []string) error
	Down(ctx context.Context, r *Loaded, names []string) error
	Remove(ctx context.Context, r *Loaded, names []string) error
	// Close ends the test: nothing of it runs any more, and nothing is left.
	Close() error
}

// Loaded is a recipe as a test read it.
type Loaded struct {
	*lua.Recipe
	Path      string
	Src       []byte
	AllowHost bool
}

// Options say how tests run.
type Options struct {
	// Real makes benches on the kernel; nil runs the tests in memory.
	Real func() (Bench, error)
	// AllowHost lets allow_host of a test hold on the kernel as well.
	AllowHost bool
	// Update writes golden files anew.
	Update bool
	// Match chooses tests by their full names; nil is all.
	Match func(name string) bool
	// Timeout bounds each test; 0 is a minute.
	Timeout time.Duration
	// UserDir is where require looks after the test's folder; "" is nowhere.
	UserDir string
	// Output takes what tests and recipes print; nil is standard error.
	Output io.Writer
}

// Result is what became of one test.
type Result struct {
	File    string        `json:"file"`
	Line    int           `json:"line"`
	Name    string        `json:"name"`
	Took    time.Duration `json:"took_ns"`
	Error   string        `json:"error,omitempty"`
	Skipped string        `json:"skipped,omitempty"` // why
	Err     error         `json:"-"`
}

// run is one test file.
type run struct {
	ctx    context.Context
	path   string
	dir    string
	o      Options
	a      *api.API
	groups []*group // the describes that are open while the file is read
	tests  []*testCase
	now    *testCase // that runs
	bench  Bench
	opened []*Loaded
}

// group is a describe.
type group struct {
	name          string
	before, after []*glua.LFunction
}

type testCase struct {
	name   string
	pos    engine.Pos
	groups []*group
	fn     *glua.LFunction
}

// Run runs the tests of a file and reports each. The error is that of a file that
// cannot be read; failed tests are in what is reported.
func Run(ctx context.Context, path string, o Options, report func(Result)) error {
	src, err := engine.ReadPlain(path, modules.MaxSize)
	if err != nil {
		return err
	}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return err
	}
	if o.Output == nil {
		o.Output = os.Stderr
	}
	if o.Timeout == 0 {
		o.Timeout = time.Minute
	}
	s := runtime.New(runtime.Options{Dir: dir, UserDir: o.UserDir, Stdlib: stdlib.FS, Stdout: o.Output})
	defer s.Close()
	r := &run{ctx: ctx, path: path, dir: dir, o: o, groups: []*group{{}}}
	r.a = api.Open(s, api.Options{Dir: dir, Log: o.Output})
	r.openWords()
	r.openExpect()
	r.openRecipe()
	if err := r.read(src); err != nil {
		return err
	}
	if len(r.tests) == 0 {
		return &bind.Error{Pos: engine.Pos{File: path, Line: 1}, Msg: "has no test", Hint: `write it("does this", function() … end)`}
	}
	for _, t := range r.tests {
		if o.Match != nil && !o.Match(t.name) {
			continue
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
		report(r.one(t))
	}
	return nil
}

// read collects the tests of the file.
func (r *run) read(src []byte) error {
	ctx, cancel := context.WithTimeoutCause(r.ctx, r.o.Timeout, fmt.Errorf("reading the tests took longer than %s", r.o.Timeout))
	defer cancel()
	return r.a.S.Do(ctx, func(l *glua.LState) error {
		fn, mistakes, err := r.a.S.Compile(r.path, src)
		if err != nil {
			return err
		}
		if len(mistakes) > 0 {
			return errors.Join(mistakes...)
		}
		_, err = r.a.S.Call(l, fn)
		return err
	})
}

// errSkip ends a test that does not apply.
type errSkip struct{ why string }

func (e *errSkip) Error() string { return "skipped: " + e.why }

// one runs a test with what its groups have before and after.
func (r *run) one(t *testCase) Result {
	out := Result{File: r.path, Line: t.pos.Line, Name: t.name}
	begin := time.Now()
	ctx, cancel := context.WithTimeoutCause(r.ctx, r.o.Timeout, fmt.Errorf("the test took longer than %s", r.o.Timeout))
	defer cancel()
	err := r.prepare()
	if err == nil {
		r.now = t
		err = r.body(ctx, t)
	}
	for i := len(t.groups) - 1; i >= 0; i-- {
		for _, fn := range t.groups[i].after {
			err = errors.Join(err, r.call(context.WithoutCancel(ctx), fn))
		}
	}
	err = errors.Join(err, r.finish())
	out.Took = time.Since(begin)
	var skip *errSkip
	switch {
	case errors.As(err, &skip):
		out.Skipped = skip.why
	case err != nil:
		out.Err, out.Error = err, err.Error()
	}
	return out
}

func (r *run) body(ctx context.Context, t *testCase) error {
	for _, g := range t.groups {
		for _, fn := range g.before {
			if err := r.call(ctx, fn); err != nil {
				return err
			}
		}
	}
	return r.call(ctx, t.fn)
}

func (r *run) call(ctx context.Context, fn *glua.LFunction) error {
	return r.a.S.Do(ctx, func(l *glua.LState) error {
		_, err := r.a.S.Call(l, fn)
		return err
	})
}

// prepare makes the test's bench.
func (r *run) prepare() (err error) {
	if r.o.Real == nil {
		r.bench = newMemory()
		return nil
	}
	r.bench, err = r.o.Real()
	return err
}

// finish takes down what the test brought up.
func (r *run) finish() error {
	if r.bench == nil {
		return nil
	}
	err := r.bench.Close()
	for _, l := range r.opened {
		l.Close()
	}
	r.bench, r.opened, r.now = nil, nil, nil
	return err
}

// memory is the bench in memory; a test that needs it is skipped on the kernel.
func (r *run) memory(l *glua.LState, what string) *memory {
	m, ok := r.bench.(*memory)
	if !ok {
		r.a.S.Raise(l, &errSkip{what + " needs the engine in memory"})
	}
	return m
}

func (t *testCase) String() string { return t.name }

// fullName joins the names of groups and test.
func fullName(groups []*group, name string) string {
	var parts []string
	for _, g := range groups {
		if g.name != "" {
			parts = append(parts, g.name)
		}
	}
	return strings.Join(append(parts, name), " ")
}
