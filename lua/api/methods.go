package api

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	lua "github.com/yuin/gopher-lua"

	"vsl/engine"
	"vsl/lua/bind"
)

func handleMethods() []method {
	return []method{
		{"exec", "(command: vsl.exec): vsl.Result", "Runs a command and gives { code, stdout, stderr }.", bind.ExecSchema, (*API).exec},
		{"sh", "(script: string, t?: vsl.exec): vsl.Result", "Runs a shell script and gives what exec gives.", bind.ExecSchema, (*API).sh},
		{"write", "(path: string, text: string, t?: vsl.write)", "Writes a file.", bind.WriteSchema, func(a *API, l *lua.LState, h *Handle, g engine.Guest) int { return a.write(l, g, false) }},
		{"append", "(path: string, text: string, t?: vsl.write)", "Appends to a file.", bind.WriteSchema, func(a *API, l *lua.LState, h *Handle, g engine.Guest) int { return a.write(l, g, true) }},
		{"read", "(path: string): string", "Gives a file's contents.", nil, (*API).read},
		{"mkdir", "(path: string, t?: vsl.mkdir)", "Makes a directory and its parents.", bind.MkdirSchema, (*API).mkdir},
		{"remove", "(path: string)", "Removes a file or a tree; an absent one is no error.", nil, (*API).remove},
		{"exists", "(path: string): boolean", "Says whether a path exists.", nil, (*API).exists},
		{"glob", "(pattern: string): string[]", "Lists the paths that match a pattern; what cannot be listed matches nothing.", nil, (*API).glob},
		{"copy_in", "(host_path: string, guest_path: string)", "Copies a file or folder from beside the recipe into the guest; a file goes into a folder that is there.", nil, (*API).copyIn},
		{"copy_out", "(guest_path: string, host_path: string)", "Copies out of the guest; needs --allow-host.", nil, (*API).copyOut},
		{"shutdown", "()", "Shuts the guest down: kill { g, graceful = true }.", nil, (*API).shutdown},
		{"kill", "(t?: vsl.kill)", "Ends the guest at once, or sends a signal.", bind.KillSchema, (*API).killMethod},
		{"wait", "(t?: vsl.wait): vsl.Exit", "Waits for the guest's end and gives { code, signal, reboot, halt }.", bind.WaitSchema, (*API).wait},
		{"wait_ready", "(probe?: vsl.Probe)", "Waits until a probe succeeds.", nil, (*API).waitReady},
		{"status", "(): vsl.Status", "Gives what vsl status shows, as a table.", nil, (*API).statusMethod},
		{"log_tail", "(lines?: integer): string[]", "Gives the last lines of the guest's log.", nil, (*API).logTail},
	}
}

// MethodDoc describes a method of a guest's handle.
type MethodDoc struct {
	Name, Doc string
	Options   *bind.Schema // of the table it takes; nil where it takes none
}

// Methods lists the methods of a guest's handle, for documentation and completion.
func Methods() []MethodDoc {
	var out []MethodDoc
	for _, m := range handleMethods() {
		out = append(out, MethodDoc{m.name, m.doc, m.options})
	}
	return out
}

// block runs f without the lock and raises its error.
func (a *API) block(l *lua.LState, f func(ctx context.Context) error) {
	if err := a.S.Block(l, f); err != nil {
		a.S.Raise(l, err)
	}
}

// options decodes an optional last argument.
func (a *API) options(l *lua.LState, i int, s *bind.Schema) bind.Values {
	switch v := l.Get(i).(type) {
	case *lua.LNilType:
		return bind.Values{}
	case *lua.LTable:
		d := a.decoder(l)
		out := d.Table(s, bind.Place{What: s.Name}, v)
		if len(d.Errs) > 0 {
			a.raise(l, d.Errs)
		}
		return out
	default:
		a.S.Raisef(l, "", "%s: must be given a table, not %s", s.Name, bind.Describe(v))
		return nil
	}
}

// str is a string argument of a method.
func (a *API) str(l *lua.LState, i int, method, what string) string {
	v := l.Get(i)
	switch v.Type() {
	case lua.LTString, lua.LTNumber:
		return v.String()
	}
	a.S.Raisef(l, "", "%s: the %s must be a string, not %s", method, what, bind.Describe(v))
	return ""
}

func (a *API) exec(l *lua.LState, h *Handle, g engine.Guest) int {
	if l.Get(2).Type() != lua.LTTable {
		a.S.Raisef(l, `write g:exec { "program", "argument" }, or g:sh "script"`, "exec: must be given a table, not %s", bind.Describe(l.Get(2)))
	}
	return a.runExec(l, h, g, a.options(l, 2, bind.ExecSchema), nil)
}

func (a *API) sh(l *lua.LState, h *Handle, g engine.Guest) int {
	return a.runExec(l, h, g, a.options(l, 3, bind.ExecSchema), []string{"/bin/sh", "-c", a.str(l, 2, "sh", "script")})
}

func (a *API) runExec(l *lua.LState, h *Handle, g engine.Guest, v bind.Values, argv []string) int {
	args, check := bind.Exec(v)
	if argv != nil {
		args.Argv = append(argv, args.Argv...)
	}
	if len(args.Argv) == 0 {
		a.S.Raisef(l, "", "exec: the command is missing")
	}
	var res engine.ExecResult
	a.block(l, func(ctx context.Context) (err error) {
		res, err = g.Exec(ctx, args)
		return err
	})
	if check && res.Code != 0 {
		a.S.Raise(l, &ExecError{Guest: h.name, Argv: args.Argv, Code: res.Code, Stderr: tail(res.Stderr, res.Stdout)})
	}
	t := l.NewTable()
	t.RawSetString("code", lua.LNumber(res.Code))
	t.RawSetString("signal", lua.LNumber(res.Signal))
	t.RawSetString("stdout", lua.LString(res.Stdout))
	t.RawSetString("stderr", lua.LString(res.Stderr))
	l.Push(t)
	return 1
}

func (a *API) write(l *lua.LState, g engine.Guest, appending bool) int {
	method := "write"
	if appending {
		method = "append"
	}
	path, data := a.path(l, 2, method, "path"), a.str(l, 3, method, "data")
	v := a.options(l, 4, bind.WriteSchema)
	args := engine.WriteArgs{Append: appending, Mode: bind.Get[os.FileMode](v, "mode")}
	a.block(l, func(ctx context.Context) error { return g.WriteFile(ctx, path, []byte(data), args) })
	return 0
}

func (a *API) read(l *lua.LState, h *Handle, g engine.Guest) int {
	path := a.path(l, 2, "read", "path")
	var data []byte
	a.block(l, func(ctx context.Context) (err error) {
		data, err = g.ReadFile(ctx, path)
		return err
	})
	l.Push(lua.LString(data))
	return 1
}

func (a *API) mkdir(l *lua.LState, h *Handle, g engine.Guest) int {
	path := a.path(l, 2, "mkdir", "path")
	mode := os.FileMode(0o755)
	if m := bind.Opt[os.FileMode](a.options(l, 3, bind.MkdirSchema), "mode"); m != nil {
		mode = *m
	}
	a.block(l, func(ctx context.Context) error { return g.Mkdir(ctx, path, mode) })
	return 0
}

func (a *API) remove(l *lua.LState, h *Handle, g engine.Guest) int {
	path := a.path(l, 2, "remove", "path")
	a.block(l, func(ctx context.Context) error { return g.Remove(ctx, path) })
	return 0
}

func (a *API) exists(l *lua.LState, h *Handle, g engine.Guest) int {
	path := a.path(l, 2, "exists", "path")
	found := false
	a.block(l, func(ctx context.Context) (err error) {
		found, err = g.Exists(ctx, path)
		return err
	})
	l.Push(lua.LBool(found))
	return 1
}

func (a *API) glob(l *lua.LState, h *Handle, g engine.Guest) int {
	pattern := a.path(l, 2, "glob", "pattern")
	var paths []string
	a.block(l, func(ctx context.Context) (err error) {
		paths, err = g.Glob(ctx, pattern)
		return err
	})
	l.Push(stringList(l, paths))
	return 1
}

func stringList(l *lua.LState, list []string) *lua.LTable {
	t := l.NewTable()
	for _, s := range list {
		t.Append(lua.LString(s))
	}
	return t
}

func (a *API) copyIn(l *lua.LState, h *Handle, g engine.Guest) int {
	from, to := a.hostPath(l, "copy_in", a.path(l, 2, "copy_in", "host path")), a.path(l, 3, "copy_in", "guest path")
	a.block(l, func(ctx context.Context) error { return g.CopyIn(ctx, from, to) })
	return 0
}

func (a *API) copyOut(l *lua.LState, h *Handle, g engine.Guest) int {
	from, to := a.path(l, 2, "copy_out", "guest path"), a.path(l, 3, "copy_out", "host path")
	if !a.o.AllowHost {
		a.S.Raise(l, &engine.OpError{Op: "copy_out", Target: to, Err: errors.New("a recipe may not write to the host"), Hint: "--allow-host allows it"})
	}
	to = a.hostPath(l, "copy_out", to)
	a.block(l, func(ctx context.Context) error { return g.CopyOut(ctx, from, to) })
	return 0
}

func (a *API) shutdown(l *lua.LState, h *Handle, g engine.Guest) int {
	a.block(l, func(ctx context.Context) error { return g.Kill(ctx, engine.KillArgs{Graceful: true}) })
	return 0
}

func (a *API) killMethod(l *lua.LState, h *Handle, g engine.Guest) int {
	args := bind.Kill(a.options(l, 2, bind.KillSchema))
	a.block(l, func(ctx context.Context) error { return g.Kill(ctx, args) })
	return 0
}

func (a *API) wait(l *lua.LState, h *Handle, g engine.Guest) int {
	limit := bind.Get[time.Duration](a.options(l, 2, bind.WaitSchema), "timeout")
	var exit engine.Exit
	a.block(l, func(ctx context.Context) (err error) {
		if limit > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeoutCause(ctx, limit, fmt.Errorf("%s still runs after %s", h.name, limit))
			defer cancel()
		}
		if exit, err = g.Wait(ctx); err != nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return err
	})
	l.Push(a.fromGo(l, exit))
	return 1
}

func (a *API) waitReady(l *lua.LState, h *Handle, g engine.Guest) int {
	p, err := bind.ProbeArg(l.Get(2))
	if err != nil {
		a.S.Raise(l, err)
	}
	if l.Get(2) == lua.LNil && g.Spec() != nil && g.Spec().Ready != nil && g.Spec().Ready.Kind != "flow" {
		p = *g.Spec().Ready
	}
	a.block(l, func(ctx context.Context) error { return waitReady(ctx, g, p) })
	return 0
}

// waitReady fills in the default probe: systemd says when it is ready, for any
// other init running must do.
func waitReady(ctx context.Context, g engine.Guest, p engine.Probe) error {
	if p.Kind == "" || p.Kind == "default" {
		st, err := g.Status(ctx)
		if err != nil {
			return err
		}
		p.Kind = "started"
		if st.Init == "systemd" {
			p.Kind = "notify"
		}
	}
	return g.WaitReady(ctx, p)
}

// DefaultReady is the ready flow of a guest that only says how long to wait.
func DefaultReady(p engine.Probe) engine.Flow {
	return func(ctx context.Context, g engine.Guest) error { return waitReady(ctx, g, p) }
}

func (a *API) statusMethod(l *lua.LState, h *Handle, g engine.Guest) int {
	st, err := a.status(l, h)
	if err != nil {
		a.S.Raise(l, err)
	}
	l.Push(a.fromGo(l, st))
	return 1
}

func (a *API) logTail(l *lua.LState, h *Handle, g engine.Guest) int {
	n := l.OptInt(2, 10)
	var lines []string
	a.block(l, func(context.Context) error {
		lines = g.LogTail(n)
		return nil
	})
	l.Push(stringList(l, lines))
	return 1
}
