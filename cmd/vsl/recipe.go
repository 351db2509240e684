package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"vsl/engine"
	"vsl/lua"
	"vsl/lua/modules"
	"vsl/recipes"
)

// recipeFile is a recipe that was found but not read as Lua yet.
type recipeFile struct {
	path string // of the file, as it is shown in errors
	src  []byte
	dir  string // that its modules are in; "" is the file's own
	// files is where relative paths of the host begin; "" is the file's folder. Of a
	// kept recipe it is the one that the recipe was in, which does not go with the guest.
	files string
	// origin is what is remembered: the absolute path, or an embedded recipe's name.
	origin   string
	embedded bool
	owners   []int         // engine.Origin.Owners
	trust    modules.Check // of its modules; nil is that they were named with it
}

// folder is where the recipe's relative paths begin.
func (f *recipeFile) folder() string {
	if f.dir != "" {
		return f.dir
	}
	return filepath.Dir(f.path)
}

// findRecipe finds a recipe by path or by the name of an embedded one. What has
// a slash, ends in .lua or is a dot is a path; of what is left, embedded names
// win over folders, as ./name reaches those too.
func findRecipe(arg string) (*recipeFile, error) { return findRecipeBy(arg, nil) }

// findRecipeBy is findRecipe with a check of the file before it is read, and of the
// recipe's modules.
func findRecipeBy(arg string, trust modules.Check) (*recipeFile, error) {
	looksLikePath := strings.ContainsRune(arg, '/') || strings.HasSuffix(arg, ".lua") || arg == "." || arg == ".."
	if !looksLikePath && slices.Contains(recipes.Names(), arg) {
		src, err := recipes.Read(arg)
		return &recipeFile{path: arg + "/recipe.lua", src: src, origin: arg, embedded: true}, err
	}
	info, err := os.Stat(arg)
	if errors.Is(err, fs.ErrNotExist) {
		hint := "vsl recipes ls lists the embedded ones"
		if near := engine.Misspelt(arg, recipes.Names()); near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		} else if orHere(nil) != nil {
			hint = "guests of the recipe in this folder are named after it, as in vsl plan . " + arg
		} else if near := engine.Nearest(arg, recipes.Names()); near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		if looksLikePath {
			return nil, &usageError{msg: arg + ": no such recipe file"}
		}
		return nil, &usageError{msg: fmt.Sprintf("no recipe %q, neither as a file nor embedded", arg), hint: hint}
	}
	if err != nil {
		return nil, &recipeError{err}
	}
	path := arg
	if info.IsDir() {
		path = filepath.Join(arg, "recipe.lua")
	}
	f := &recipeFile{path: path, trust: trust}
	f.src, err = engine.ReadPlain(path, modules.MaxSize, func(info fs.FileInfo) error {
		f.owners = ownersOf(path, info)
		if trust != nil {
			return trust(path, info)
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &usageError{msg: fmt.Sprintf("folder %s has no recipe.lua", arg)}
	}
	if err != nil {
		return nil, &recipeError{err}
	}
	f.origin, err = filepath.Abs(path)
	return f, err
}

// orHere are the arguments of a verb whose first is a recipe: without any it is
// that of the folder we are in, if it has one.
func orHere(args []string) []string {
	if len(args) > 0 {
		return args
	}
	if _, err := os.Stat("recipe.lua"); err != nil {
		return nil
	}
	return []string{"."}
}

// aRecipe wants a recipe, or a folder that has one, and at most max arguments; 0 is any number.
func aRecipe(max int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(orHere(args)) == 0 {
			return &usageError{msg: cmd.CommandPath() + " needs a recipe, as this folder has no recipe.lua", hint: "usage: " + cmd.UseLine()}
		}
		if max > 0 {
			return atMost(max)(cmd, args)
		}
		return nil
	}
}

// loaded is a recipe with its flows.
type loaded struct {
	*lua.Recipe
	file   *recipeFile
	origin engine.Origin
}

// load reads a recipe; e may be nil where nothing will be done with it.
func (a *app) load(ctx context.Context, e *engine.Engine, file *recipeFile, g given) (*loaded, error) {
	o := a.luaOptions(e)
	o.Params, o.More, o.LookupEnv, o.Optional, o.AllowHost, o.Dir, o.Files = g.params, g.file, g.env, g.optional, g.allowHost, file.dir, file.files
	o.Trust = file.trust
	r, err := lua.Load(ctx, file.path, file.src, o)
	if err != nil {
		return nil, &recipeError{err}
	}
	return newLoaded(r, file, g.allowHost), nil
}

// newLoaded joins what was read with where it came from.
func newLoaded(r *lua.Recipe, file *recipeFile, allowHost bool) *loaded {
	return &loaded{Recipe: r, file: file, origin: engine.Origin{Path: file.origin, File: filepath.Base(file.path), AllowHost: allowHost, Params: r.Given(), Owners: file.owners}}
}

// loadArg is findRecipe and load with a verb's flags.
func (a *app) loadArg(ctx context.Context, e *engine.Engine, arg string, o recipeOptions) (*loaded, error) {
	g, err := o.given()
	if err != nil {
		return nil, err
	}
	file, err := findRecipe(arg)
	if err != nil {
		return nil, err
	}
	return a.load(ctx, e, file, g)
}

// guests are those of the recipe that names name, with what they come after;
// all of them without names. A pool's name stands for its guests.
func (l *loaded) guests(names []string) ([]engine.Declared, error) {
	if len(l.Guests) == 0 && len(l.Pools) == 0 {
		return nil, &recipeError{fmt.Errorf("%s: declares no guest", l.Path)}
	}
	if len(names) == 0 {
		return l.Guests, nil
	}
	var each []string
	for _, n := range names {
		p := l.pool(n)
		if p == nil {
			each = append(each, n)
			continue
		}
		for i := 1; i <= p.Size; i++ {
			each = append(each, p.Member(i))
		}
	}
	return engine.WithDependencies(l.Guests, each)
}

func (l *loaded) pool(name string) *engine.Pool {
	for _, p := range l.Pools {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// pools are the recipe's as far as names asks for them.
func (l *loaded) pools(names []string) []*engine.Pool {
	var out []*engine.Pool
	for _, p := range l.Pools {
		q := *p
		q.Partial = len(names) > 0 && !slices.Contains(names, p.Name)
		out = append(out, &q)
	}
	return out
}

// validate finds what the recipe's declarations get wrong together.
func (l *loaded) validate() error {
	var specs []*engine.Spec
	for _, d := range l.Guests {
		specs = append(specs, d.Spec)
	}
	if err := engine.Validate(specs); err != nil {
		return &recipeError{err}
	}
	return nil
}

// texts are the recipe and the modules it read, as they were read: one of the user's
// folder by its path below that, so that beside a kept recipe it is found as well.
func (l *loaded) texts() map[string][]byte {
	texts := map[string][]byte{}
	for _, f := range l.Files {
		texts[filepath.FromSlash(f.Rel)] = f.Text
	}
	texts[l.origin.File] = l.file.src
	return texts
}

// keeper gives what writes the recipe into a guest's folder, and notes in the
// origin which one it is: for all guests the files are read once.
func (l *loaded) keeper() func(dir string) error {
	texts := l.texts()
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		fmt.Fprintf(h, "%q %d\n%s", name, len(texts[name]), texts[name])
	}
	l.origin.Digest = hex.EncodeToString(h.Sum(nil))
	return func(dir string) error {
		for name, text := range texts {
			to := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
				return err
			}
			if err := os.WriteFile(to, text, 0o600); err != nil {
				return err
			}
		}
		return nil
	}
}

// filesOf is the folder of the recipe that an origin names; an embedded one has the
// folder of its name.
func filesOf(o engine.Origin) string {
	if filepath.IsAbs(o.Path) {
		return filepath.Dir(o.Path)
	}
	return o.Path
}

// loadKept reads the recipe that a guest was booted with.
func (a *app) loadKept(ctx context.Context, e *engine.Engine, name string) (*loaded, error) {
	origin, dir, err := e.Origin(name)
	if err != nil {
		return nil, err
	}
	file := &recipeFile{path: filepath.Join(dir, origin.File), origin: origin.Path}
	if file.files, err = filepath.Abs(filesOf(origin)); err != nil {
		return nil, err
	}
	if file.src, err = engine.ReadPlain(file.path, modules.MaxSize); err != nil {
		return nil, err
	}
	if now, err := engine.ReadPlain(origin.Path, modules.MaxSize); a.debugger != nil && err == nil && bytes.Equal(now, file.src) {
		// Breakpoints are set in the file that somebody has open.
		file.path, file.dir = origin.Path, dir
	}
	l, err := a.load(ctx, e, file, recorded(origin))
	if err != nil {
		return nil, err
	}
	l.origin = origin
	return l, nil
}

// declared finds one guest of the recipe.
func (l *loaded) declared(name string) (engine.Declared, bool) {
	for _, d := range l.Guests {
		if d.Spec.Name == name {
			return d, true
		}
	}
	return engine.Declared{}, false
}
