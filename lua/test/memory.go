package test

import (
	"context"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"

	"vsl/engine"
	"vsl/engine/enginetest"
)

// memory is the bench without a kernel: calls are recorded, commands answer what
// the test says.
type memory struct {
	*enginetest.Engine
	mu      sync.Mutex
	answers []answer
	fails   []failure
}

// answer is what commands of a guest give.
type answer struct {
	guest   string // "*" is any
	command *regexp.Regexp
	give    func(argv []string, stdin string) (engine.ExecResult, error)
}

// failure is a call that fails, whatever it would do.
type failure struct {
	call *regexp.Regexp
	err  error
}

func newMemory() *memory {
	m := &memory{Engine: enginetest.NewEngine()}
	m.Engine.Exec = m.exec
	m.Engine.Fail = m.fail
	return m
}

// glob makes a pattern in which only * is special, and stands for anything.
func glob(pattern string) *regexp.Regexp {
	return regexp.MustCompile(`(?s)^` + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, `.*`) + `$`)
}

// exec answers a command: of several answers that fit, the last one given. A
// script of g:sh is known by its text alone too.
func (m *memory) exec(guest string, a engine.ExecArgs) (engine.ExecResult, error) {
	line, script := strings.Join(a.Argv, " "), ""
	if len(a.Argv) == 3 && a.Argv[1] == "-c" {
		script = a.Argv[2]
	}
	stdin := ""
	if a.Stdin != nil {
		text, err := io.ReadAll(a.Stdin)
		if err != nil {
			return engine.ExecResult{}, err
		}
		stdin = string(text)
	}
	m.mu.Lock()
	var give func([]string, string) (engine.ExecResult, error)
	for _, an := range m.answers {
		if (an.guest == "*" || an.guest == guest) && (an.command.MatchString(line) || script != "" && an.command.MatchString(script)) {
			give = an.give
		}
	}
	m.mu.Unlock() // the answer may be a function of the test's
	if give == nil {
		return engine.ExecResult{}, nil
	}
	return give(a.Argv, stdin)
}

func (m *memory) fail(call string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range m.fails {
		if f.call.MatchString(call) {
			return f.err
		}
	}
	return nil
}

func (m *memory) Build(ctx context.Context, r *Loaded, template string) error {
	for _, t := range r.Templates {
		if t.Name == template {
			return m.Engine.Build(ctx, t, r.BuildFlows[t.Name])
		}
	}
	return &engine.OpError{Op: "build template", Target: template, Err: engine.ErrUnknownTmpl}
}

func (m *memory) Up(ctx context.Context, r *Loaded, names []string) error {
	decls, err := choose(r, names)
	if err != nil {
		return err
	}
	return errors.Join(m.Engine.Up(ctx, decls)...)
}

func (m *memory) Down(ctx context.Context, r *Loaded, names []string) error {
	return m.end(ctx, r, names, false)
}

func (m *memory) Remove(ctx context.Context, r *Loaded, names []string) error {
	return m.end(ctx, r, names, true)
}

func (m *memory) end(ctx context.Context, r *Loaded, names []string, remove bool) error {
	var decls []engine.Declared
	for _, d := range r.Guests {
		if len(names) == 0 || slices.Contains(names, d.Spec.Name) || d.Spec.Pool != "" && slices.Contains(names, d.Spec.Pool) {
			decls = append(decls, d)
		}
	}
	return m.Engine.Down(ctx, decls, remove)
}

func (m *memory) Close() error { return nil }

// choose gives the named guests with what they come after; all without names. A
// pool's name stands for its guests.
func choose(r *Loaded, names []string) ([]engine.Declared, error) {
	if len(names) == 0 {
		return r.Guests, nil
	}
	var each []string
	for _, n := range names {
		before := len(each)
		for _, d := range r.Guests {
			if d.Spec.Pool == n {
				each = append(each, d.Spec.Name)
			}
		}
		if len(each) == before {
			each = append(each, n)
		}
	}
	return engine.WithDependencies(r.Guests, each)
}
