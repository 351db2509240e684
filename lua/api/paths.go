package api

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	lua "github.com/yuin/gopher-lua"

	"vsl/engine"
)

// path is a path that a recipe gives to a method. No kernel takes a longer one, and
// one of megabytes would be looked at, and stand in an error, part for part.
func (a *API) path(l *lua.LState, i int, method, what string) string {
	path := a.str(l, i, method, what)
	if len(path) > engine.PathMax {
		a.S.Raise(l, &engine.OpError{Op: method, Target: path[:40] + "...", Err: engine.ErrPathTooLong,
			Hint: fmt.Sprintf("the %s has %d bytes; a path has %d at most", what, len(path), engine.PathMax)})
	}
	return path
}

// hostPath resolves a path of the host as a recipe gives it: relative to the
// recipe's folder, and within it unless --allow-host was given. Links are
// followed before that is judged.
func (a *API) hostPath(l *lua.LState, method, path string) string {
	full := path
	if !filepath.IsAbs(full) {
		full = filepath.Join(a.o.Dir, full)
	}
	if a.o.AllowHost {
		return full
	}
	dir, err := filepath.EvalSymlinks(a.o.Dir)
	if a.o.Dir == "" {
		err = os.ErrNotExist
	}
	if a.o.Dir != "" && errors.Is(err, os.ErrNotExist) {
		a.S.Raise(l, &engine.OpError{Op: method, Target: full, Err: fmt.Errorf("the recipe's folder %s is gone", a.o.Dir)})
	}
	real, err2 := filepath.EvalSymlinks(full)
	if err == nil && err2 != nil && errors.Is(err2, os.ErrNotExist) && inside(a.o.Dir, full) {
		a.S.Raise(l, &engine.OpError{Op: method, Target: full, Err: os.ErrNotExist})
	}
	if err != nil || err2 != nil || !inside(dir, real) {
		a.S.Raise(l, &engine.OpError{Op: method, Target: path, Err: ErrHost, Hint: "--allow-host allows it"})
	}
	return real
}

func inside(dir, path string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
}

// ErrHost says that a recipe reached for the host without leave.
var ErrHost = errors.New("is outside the recipe's folder")
