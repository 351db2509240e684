package api

import (
	"errors"
	"os"
	"path/filepath"

	lua "github.com/yuin/gopher-lua"

	"vsl/engine"
	"vsl/lua/bind"
)

// openSecret makes secret.file and secret.env. Both only say where a secret is:
// Lua code never has its text.
func (a *API) openSecret() {
	t := a.S.L().NewTable()
	a.NewType("secret", a.noField("secret", nil), func(_ *lua.LState, v any) string { return "secret " + v.(*engine.Secret).String() })
	t.RawSetString("file", a.S.Func("secret.file", func(l *lua.LState) int {
		path := a.path(l, 1, "secret.file", "path")
		l.Push(a.Object(l, "secret", &engine.Secret{File: a.secretPath(l, path)}))
		return 1
	}))
	t.RawSetString("env", a.S.Func("secret.env", func(l *lua.LState) int {
		l.Push(a.Object(l, "secret", &engine.Secret{Env: a.str(l, 1, "secret.env", "variable")}))
		return 1
	}))
	a.S.Strict("secret", t)
	a.S.SetGlobal("secret", t)
}

// secretPath is hostPath for a file that need not be there yet: a recipe can be
// checked on a host that has not its secrets.
func (a *API) secretPath(l *lua.LState, path string) string {
	full := path
	if !filepath.IsAbs(full) {
		full = filepath.Join(a.o.Dir, full)
	}
	real, err := filepath.EvalSymlinks(full)
	if errors.Is(err, os.ErrNotExist) {
		real = full
	}
	dir, err := filepath.EvalSymlinks(a.o.Dir)
	if err != nil {
		dir = a.o.Dir
	}
	if !a.o.AllowHost && (!inside(dir, real) && !inside(a.o.Dir, real) || !inside(a.o.Dir, full)) {
		a.S.Raise(l, &bind.Error{Msg: "secret.file: " + path + " " + ErrHost.Error(),
			Hint: "--allow-host allows it; param.secret takes a path from the command line"})
	}
	return full
}
