// Package modules finds the files that require reads. A recipe's modules are in its
// own folder, and those that a user shares between recipes in a folder of that user.
// Nothing else is ever looked at: no path of Lua's, no variable, no parent folder.
package modules

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"vsl/engine"
	"vsl/lua/bind"
)

// MaxSize bounds the text of one module, or of a recipe: what parsers and lint make of a
// text is some hundred times as large, and nothing ends them half way.
const MaxSize = 1 << 20

// File is a module that was found.
type File struct {
	Path string // where it is
	Rel  string // below its folder
	Text []byte // as it was read
}

// Check refuses a file or folder by an error. info is that of the file which is open.
type Check func(path string, info fs.FileInfo) error

// Folders are where modules may be. Own wins.
type Folders struct {
	Own  string // the recipe's; "" is none
	User string // the user's; "" is none
	// Trust is asked about each file in Own before its text is read; nil trusts them
	// all, as who named the recipe answers for its folder.
	Trust Check
	// looked is set once the user's folder was looked for and is not there.
	looked bool
}

// UserFolder is where the user who runs the command keeps modules: vsl/lua in the
// folder of configurations (XDG Base Directory Specification 0.8); "" without a home.
func UserFolder() string {
	dir := os.Getenv("XDG_CONFIG_HOME")
	if !filepath.IsAbs(dir) {
		home, err := os.UserHomeDir()
		if err != nil || !filepath.IsAbs(home) {
			return ""
		}
		dir = filepath.Join(home, ".config")
	}
	return filepath.Join(dir, "vsl", "lua")
}

// Find reads a module by its name, as in require "name". What it fails with is a
// mistake in words: that there is none says where it was looked for.
func (f *Folders) Find(name string) (*File, error) {
	rel := strings.ReplaceAll(name, ".", "/")
	wrong := func(err error) (*File, error) {
		var mistake *bind.Error
		if errors.As(err, &mistake) {
			return nil, &bind.Error{Msg: fmt.Sprintf("module %q: %s", name, mistake.Msg), Hint: mistake.Hint}
		}
		var no *engine.TrustError
		if errors.As(err, &no) {
			return nil, &bind.Error{Msg: fmt.Sprintf("module %q: %s", name, no.Why), Hint: no.Hint}
		}
		return nil, &bind.Error{Msg: fmt.Sprintf("module %q: %v", name, err)}
	}
	if f.Own != "" {
		if m, err := look(f.Own, rel, true, f.Trust); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return wrong(err)
		} else if err == nil {
			return m, nil
		}
	}
	missing := fmt.Sprintf("no module %q: there is no %s.lua beside the recipe", name, rel)
	if f.User == "" {
		return nil, &bind.Error{Msg: missing}
	}
	if !f.looked {
		m, err := look(f.User, rel, false, trusted)
		if err == nil {
			return m, nil
		}
		var gone *absent
		if f.looked = errors.As(err, &gone); !errors.Is(err, fs.ErrNotExist) {
			return wrong(err)
		}
	}
	return nil, &bind.Error{Msg: fmt.Sprintf("%s, and none in %s", missing, f.User)}
}

// Read reads a plain file of a folder, and follows no link out of that.
func Read(dir, file string) ([]byte, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return read(root, dir, file, true, nil)
}

// absent says that the folder itself is not there.
type absent struct{ error }

func (a *absent) Unwrap() error { return a.error }

// look reads a module below one folder. Without links all folders on its way are shown
// to check as well, and none may be a link. os.Root follows no link out of it.
func look(dir, rel string, links bool, check Check) (*File, error) {
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &absent{err}
	}
	if err != nil {
		return nil, err
	}
	defer root.Close()
	for _, try := range []string{rel + ".lua", rel + "/init.lua"} {
		if !links {
			if err = walk(root, dir, try, check); errors.Is(err, fs.ErrNotExist) {
				continue
			} else if err != nil {
				return nil, err
			}
		}
		text, err := read(root, dir, try, links, check)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return &File{filepath.Join(dir, try), try, text}, nil
	}
	return nil, fs.ErrNotExist
}

// walk shows a folder, and what is on the way to a file below it, to check.
func walk(root *os.Root, dir, file string, check Check) error {
	at := "."
	for _, part := range append([]string{"."}, strings.Split(path.Dir(file), "/")...) {
		at = path.Join(at, part)
		info, err := root.Lstat(at)
		if err != nil {
			return err
		}
		where := filepath.Join(dir, at)
		if info.Mode()&fs.ModeSymlink != 0 {
			return &bind.Error{Msg: where + " is a symbolic link, and none is followed there", Hint: "put the folder itself there"}
		}
		if err := check(where, info); err != nil {
			return err
		}
	}
	return nil
}

// read reads one plain file. It is looked at before it is opened, as opening a device
// may do something, and afterwards, as it may be another then.
func read(root *os.Root, dir, file string, links bool, check Check) ([]byte, error) {
	where := filepath.Join(dir, file)
	stat := root.Stat
	if !links {
		stat = root.Lstat
	}
	before, err := stat(file)
	if err != nil {
		return nil, err
	}
	if before.Mode()&fs.ModeSymlink != 0 {
		return nil, &bind.Error{Msg: where + " is a symbolic link, and none is followed there", Hint: "put the file itself there"}
	}
	if !before.Mode().IsRegular() {
		return nil, &bind.Error{Msg: where + " is no plain file"}
	}
	f, err := root.OpenFile(file, engine.PlainFlags, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !os.SameFile(before, info) {
		return nil, &bind.Error{Msg: where + " was replaced while it was read", Hint: "try again"}
	}
	if check != nil {
		if err := check(where, info); err != nil {
			return nil, err
		}
	}
	text, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err == nil && len(text) > MaxSize {
		err = &bind.Error{Msg: fmt.Sprintf("%s is larger than %d MB", where, MaxSize>>20)}
	}
	return text, err
}

// trusted is engine.Trust for the user's folder: HOME may be that of another user.
func trusted(path string, info fs.FileInfo) error {
	err := engine.Trust(path, info)
	var no *engine.TrustError
	if errors.As(err, &no) && no.Foreign && os.Geteuid() == 0 {
		no.Hint += "; sudo -H looks in the folder of root"
	}
	return err
}
