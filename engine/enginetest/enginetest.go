// Package enginetest is an engine in memory. It records what is asked of it as
// lines of text, for golden tests of flows and recipes.
package enginetest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"vsl/engine"
)

// Engine makes guests that only record. The zero value is not usable: call New.
type Engine struct {
	mu     sync.Mutex
	calls  []string
	guests map[string]*Guest
	// Exec answers commands; nil answers each with exit status 0.
	Exec func(guest string, a engine.ExecArgs) (engine.ExecResult, error)
	// Fail gives the error of a call by its line, nil for success.
	Fail func(call string) error
	// Data is what each guest keeps, as JSON.
	Data map[string]string
	// Delay is how long each primitive takes.
	Delay time.Duration
}

// NewEngine makes an engine.
func NewEngine() *Engine { return &Engine{guests: map[string]*Guest{}, Data: map[string]string{}} }

// New gives a handle for a guest.
func (e *Engine) New(spec *engine.Spec) (engine.Guest, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if g := e.guests[spec.Name]; g != nil {
		g.spec = spec
		return g, nil
	}
	g := &Guest{e: e, spec: spec, state: engine.StateStopped, Files: map[string]string{}}
	e.guests[spec.Name] = g
	return g, nil
}

// Lookup gives a guest that New made.
func (e *Engine) Lookup(name string) (engine.Guest, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if g := e.guests[name]; g != nil {
		return g, nil
	}
	return nil, &engine.OpError{Op: "look up guest", Target: name, Err: os.ErrNotExist}
}

// Running lists the guests that run.
func (e *Engine) Running() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var names []string
	for name, g := range e.guests {
		if g.state == engine.StateRunning {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return names
}

// Calls gives what was recorded, in the order in which it was asked.
func (e *Engine) Calls() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]string(nil), e.calls...)
}

// Reset forgets what was recorded.
func (e *Engine) Reset() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.calls = nil
}

// record notes a call and gives the error it is to end with.
func (e *Engine) record(ctx context.Context, line string) error {
	e.mu.Lock()
	e.calls = append(e.calls, line)
	fail, delay := e.Fail, e.Delay
	e.mu.Unlock()
	if delay > 0 {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(delay):
		}
	}
	if fail != nil {
		return fail(line)
	}
	return nil
}

var _ engine.Guest = (*Guest)(nil)

// Guest records calls and keeps files in memory.
type Guest struct {
	e     *Engine
	spec  *engine.Spec
	xid   int
	state engine.State
	Files map[string]string

	provisioned bool
}

func (g *Guest) call(ctx context.Context, op string, args ...string) error {
	parts := append([]string{op, g.spec.Name}, args...)
	return g.e.record(ctx, strings.Join(parts, " "))
}

func (g *Guest) set(f func()) {
	g.e.mu.Lock()
	defer g.e.mu.Unlock()
	f()
}

// Name gives the guest's name.
func (g *Guest) Name() string { return g.spec.Name }

// XID gives 4096 once the context exists.
func (g *Guest) XID() (n int) {
	g.set(func() { n = g.xid })
	return n
}

// Spec gives what was declared.
func (g *Guest) Spec() *engine.Spec { return g.spec }

// Context records context.
func (g *Guest) Context(ctx context.Context) error {
	g.set(func() { g.xid = 4096 })
	return g.call(ctx, "context")
}

// CowClone records cow_clone.
func (g *Guest) CowClone(ctx context.Context, a engine.CloneArgs) error {
	name := ""
	if a.Template != nil {
		name = a.Template.Name
	}
	return g.call(ctx, "cow_clone", fields("template", name, "kind", a.Kind)...)
}

// Limit records limit.
func (g *Guest) Limit(ctx context.Context, l engine.Limits) error {
	return g.call(ctx, "limit", flat(l)...)
}

// BindIP records bind_ip.
func (g *Guest) BindIP(ctx context.Context, n engine.Net) error {
	args := fields("net", n.Mode)
	for _, a := range n.Addrs {
		args = append(args, fields("ip", a.IP, "dev", a.Dev)...)
	}
	return g.call(ctx, "bind_ip", args...)
}

// Boot records boot.
func (g *Guest) Boot(ctx context.Context, a engine.BootArgs) error {
	args := fields("init", strings.Join(a.Init, " "), "command", strings.Join(a.Command, " "), "hostname", a.Hostname,
		"secrets", strings.Join(slices.Sorted(maps.Keys(g.spec.Secrets)), ","))
	args = append(args, flat(struct {
		Env  map[string]string `json:"env,omitempty"`
		Idle bool              `json:"idle,omitempty"`
	}{a.Env, a.Idle})...)
	err := g.call(ctx, "boot", args...)
	if err == nil {
		g.set(func() { g.state = engine.StateRunning })
	}
	return err
}

// Kill records kill.
func (g *Guest) Kill(ctx context.Context, a engine.KillArgs) error {
	args := []string{}
	if a.Graceful {
		args = append(args, "graceful")
	}
	args = append(args, fields("signal", a.Signal)...)
	if a.All {
		args = append(args, "all")
	}
	if a.Timeout != 0 {
		args = append(args, "timeout="+a.Timeout.String())
	}
	err := g.call(ctx, "kill", args...)
	if err == nil && a.Signal == "" {
		g.set(func() { g.state = engine.StateStopped })
	}
	return err
}

// Status gives name, xid and state.
func (g *Guest) Status(context.Context) (engine.Status, error) {
	g.e.mu.Lock()
	defer g.e.mu.Unlock()
	st := engine.Status{Name: g.spec.Name, XID: g.xid, State: g.state}
	for _, a := range g.spec.Net.Addrs {
		st.IP = append(st.IP, a.IP)
	}
	if st.State == engine.StateRunning {
		st.PID = 4242
	}
	return st, nil
}

// Exec records exec and asks the engine's Exec for the answer.
func (g *Guest) Exec(ctx context.Context, a engine.ExecArgs) (engine.ExecResult, error) {
	args := []string{strings.Join(a.Argv, " ")}
	args = append(args, fields("user", a.User, "dir", a.Dir)...)
	if a.Stdin != nil {
		in, err := io.ReadAll(a.Stdin)
		if err != nil {
			return engine.ExecResult{}, err
		}
		args = append(args, fields("stdin", string(in))...)
		a.Stdin = bytes.NewReader(in) // for Exec
	}
	if err := g.call(ctx, "exec", args...); err != nil {
		return engine.ExecResult{}, err
	}
	if g.e.Exec != nil {
		return g.e.Exec(g.spec.Name, a)
	}
	return engine.ExecResult{}, nil
}

// WriteFile records write and keeps the file.
func (g *Guest) WriteFile(ctx context.Context, p string, data []byte, a engine.WriteArgs) error {
	op := "write"
	if a.Append {
		op = "append"
	}
	args := []string{p}
	if a.Mode != 0 {
		args = append(args, fmt.Sprintf("mode=%04o", a.Mode.Perm()))
	}
	err := g.call(ctx, op, append(args, fmt.Sprintf("%q", data))...)
	if err == nil {
		g.set(func() {
			if a.Append {
				data = append([]byte(g.Files[p]), data...)
			}
			g.Files[p] = string(data)
		})
	}
	return err
}

// ReadFile gives a file that was written.
func (g *Guest) ReadFile(_ context.Context, p string) (data []byte, err error) {
	g.set(func() {
		text, ok := g.Files[p]
		if !ok {
			err = &engine.OpError{Op: "read", Target: p, Err: os.ErrNotExist}
		}
		data = []byte(text)
	})
	return data, err
}

// Mkdir records mkdir.
func (g *Guest) Mkdir(ctx context.Context, p string, mode os.FileMode) error {
	return g.call(ctx, "mkdir", p, fmt.Sprintf("mode=%04o", mode.Perm()))
}

// Remove records remove and forgets the file or tree.
func (g *Guest) Remove(ctx context.Context, p string) error {
	g.set(func() {
		for name := range g.Files {
			if name == p || strings.HasPrefix(name, strings.TrimSuffix(p, "/")+"/") {
				delete(g.Files, name)
			}
		}
	})
	return g.call(ctx, "remove", p)
}

// Exists says whether a file was written.
func (g *Guest) Exists(_ context.Context, p string) (ok bool, err error) {
	g.set(func() { _, ok = g.Files[p] })
	return ok, nil
}

// Glob lists the files written that match.
func (g *Guest) Glob(_ context.Context, pattern string) (out []string, err error) {
	g.set(func() {
		for name := range g.Files {
			ok, matchErr := path.Match(pattern, name)
			if matchErr != nil {
				err = matchErr
			}
			if ok {
				out = append(out, name)
			}
		}
	})
	sort.Strings(out)
	return out, err
}

// CopyIn records copy_in.
func (g *Guest) CopyIn(ctx context.Context, hostPath, guestPath string) error {
	return g.call(ctx, "copy_in", hostPath, guestPath)
}

// CopyOut records copy_out.
func (g *Guest) CopyOut(ctx context.Context, guestPath, hostPath string) error {
	return g.call(ctx, "copy_out", guestPath, hostPath)
}

// Wait records wait and gives an end with status 0.
func (g *Guest) Wait(ctx context.Context) (engine.Exit, error) {
	return engine.Exit{Known: true}, g.call(ctx, "wait")
}

// WaitReady records wait_ready.
func (g *Guest) WaitReady(ctx context.Context, p engine.Probe) error {
	return g.call(ctx, "wait_ready", flat(p)...)
}

// LogTail gives one line.
func (g *Guest) LogTail(int) []string { return []string{g.spec.Name + " says hello"} }

// fields words pairs of names and values, leaving out empty ones.
func fields(pairs ...string) []string {
	var out []string
	for i := 0; i+1 < len(pairs); i += 2 {
		if v := pairs[i+1]; v != "" {
			if strings.ContainsAny(v, " \n\t") {
				v = fmt.Sprintf("%q", v)
			}
			out = append(out, pairs[i]+"="+v)
		}
	}
	return out
}

// flat words a struct by its JSON: name=value, sorted, nested names with dots.
func flat(v any) []string {
	data, err := json.Marshal(v)
	if err != nil {
		return []string{err.Error()}
	}
	var generic map[string]any
	if err := json.Unmarshal(data, &generic); err != nil {
		return []string{err.Error()}
	}
	var out []string
	var walk func(prefix string, v any)
	walk = func(prefix string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, e := range v {
				walk(strings.TrimPrefix(prefix+"."+k, "."), e)
			}
		case float64:
			out = append(out, fmt.Sprintf("%s=%.15g", prefix, v))
		case string:
			out = append(out, fields(prefix, v)...)
		default:
			text, err := json.Marshal(v)
			if err != nil {
				text = []byte(err.Error())
			}
			out = append(out, prefix+"="+string(text))
		}
	}
	walk("", generic)
	sort.Strings(out)
	return out
}
