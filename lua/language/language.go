// Package language knows what a recipe may name, and finds out what the names,
// tables and functions of a text mean, without running it. Lint, completion and
// the language server all look through it.
package language

import (
	"slices"
	"strings"
	"sync"

	glua "github.com/yuin/gopher-lua"

	"vsl/engine"
	"vsl/lua/api"
	"vsl/lua/bind"
	"vsl/lua/runtime"
	"vsl/lua/syntax"
	"vsl/lua/test"
	"vsl/stdlib"
)

// Word is a global, a field of one, or a field or method of an object.
type Word struct {
	Name     string // as it is written: "probe.http", "g:exec"
	Doc      string
	Sig      string // of a function, as LuaLS writes types: "(n: integer): string"; "" is not known
	Function bool
	Method   bool
	Acts     bool             // can only be called while something acts
	Declares bool             // is written kind "name" { … }, while a recipe is read
	Schema   *bind.Schema     // of the table that the function takes; nil is none
	Gives    string           // the kind of object that it gives or is; "" is not known
	Names    []string         // the texts that it can be; nil is any
	Members  map[string]*Word // of a table; nil is no table
}

// Short is the last part of the name.
func (w *Word) Short() string { return w.Name[strings.LastIndexAny(w.Name, ".:")+1:] }

// Language is what a recipe may name.
type Language struct {
	Globals map[string]*Word
	Objects map[string]map[string]*Word // fields and methods by kind of object
}

// Load gives the language of recipes.
var Load = sync.OnceValue(func() *Language { return load(false) })

// Session gives the language of a prompt, which has up and down beside.
var Session = sync.OnceValue(func() *Language { return load(true) })

// Tests gives the language of test files, which vsl test runs.
var Tests = sync.OnceValue(func() *Language {
	lang := load(false)
	for _, w := range test.Words() {
		lang.Globals[w.Name] = &Word{Name: w.Name, Doc: w.Use + " " + w.Doc, Function: w.Name != "real"}
	}
	return lang
})

// For gives the language of a file.
func For(path string) *Language {
	if strings.HasSuffix(path, "_test.lua") {
		return Tests()
	}
	return Load()
}

// load asks the interpreter what there is, and the catalogue what it means.
func load(session bool) *Language {
	s := runtime.New(runtime.Options{Stdlib: stdlib.FS})
	defer s.Close()
	api.Open(s, api.Options{})
	c := newCatalogue()
	lang := &Language{Globals: map[string]*Word{}, Objects: c.objects()}
	for _, name := range s.Globals() {
		lang.Globals[name] = c.word(name, s.GetGlobal(name))
	}
	for _, name := range slices.Concat(api.Primitives, api.Words) {
		lang.Globals[name].Acts = true
	}
	if session {
		for name, doc := range map[string]string{"up": "Brings a guest up with its flows.", "down": "Brings a guest down with its flows."} {
			lang.Globals[name] = &Word{Name: name, Doc: doc, Function: true}
		}
	}
	return lang
}

// catalogue is api's, by name.
type catalogue struct {
	functions map[string]api.FunctionDoc
	schemas   map[string]*bind.Schema // by class
}

func newCatalogue() *catalogue {
	c := &catalogue{map[string]api.FunctionDoc{}, map[string]*bind.Schema{}}
	for _, f := range api.Functions() {
		c.functions[f.Name] = f
	}
	for _, s := range bind.Schemas() {
		c.schemas[s.Class()] = s
	}
	return c
}

var classes = bind.LazyRE(`vsl\.[\w.]+`)

// describe fills in what the catalogue says of a function, and what its signature
// says: the table that it takes, and the object that it gives.
func (c *catalogue) describe(w *Word, name string) {
	f, ok := c.functions[name]
	if !ok { // one of Lua's own
		return
	}
	w.Sig, w.Doc = f.Sig, f.Doc
	w.Declares = strings.Contains(f.Sig, "): fun(t: ")
	for _, class := range classes().FindAllString(f.Sig, -1) {
		if s := c.schemas[class]; s != nil && w.Schema == nil {
			w.Schema = s
		}
	}
	at := strings.LastIndex(f.Sig, "): ")
	if at < 0 {
		return
	}
	switch returns := f.Sig[at+3:]; {
	case returns == "string":
		w.Gives = "string"
	case strings.HasPrefix(returns, "vsl."):
		w.Gives = kindOf(returns)
	}
}

// kindOf is the kind of object of a class: "guest" of "vsl.Guest".
func kindOf(class string) string { return strings.ToLower(strings.TrimPrefix(class, "vsl.")) }

func (c *catalogue) word(name string, v glua.LValue) *Word {
	w := &Word{Name: name}
	switch v := v.(type) {
	case *glua.LFunction:
		w.Function = true
		c.describe(w, name)
	case *glua.LTable:
		w.Members = map[string]*Word{}
		if name == "_G" {
			return w
		}
		v.ForEach(func(k, e glua.LValue) {
			_, table := e.(*glua.LTable) // __index of string is string
			if key, ok := k.(glua.LString); ok && !table {
				w.Members[string(key)] = c.word(name+"."+string(key), e)
			}
		})
	}
	return w
}

// objects are the kinds of object with their fields and methods.
func (c *catalogue) objects() map[string]map[string]*Word {
	all := map[string]map[string]*Word{}
	prefixes := map[string]string{"guest": "g"}
	for _, o := range api.Objects() {
		kind := kindOf(o.Class)
		if prefixes[kind] == "" {
			prefixes[kind] = kind
		}
		all[kind] = map[string]*Word{}
		for _, f := range o.Fields {
			if !syntax.IsName(f.Name) { // [integer]
				continue
			}
			w := &Word{Name: prefixes[kind] + "." + f.Name, Doc: f.Doc}
			if s := c.schemas[f.Type]; s != nil {
				w.Gives, w.Schema = "table", s
			}
			if f.Type == "string" {
				w.Gives = "string"
			}
			all[kind][f.Name] = w
		}
	}
	for name := range c.functions {
		prefix, method, ok := strings.Cut(name, ":")
		for kind, p := range prefixes {
			if ok && p == prefix {
				w := &Word{Name: name, Function: true, Method: true, Acts: kind == "guest"}
				c.describe(w, name)
				all[kind][method] = w
			}
		}
	}
	for _, state := range []engine.State{engine.StateDeclared, engine.StateStopped, engine.StateRunning, engine.StateFrozen, engine.StateFailed} {
		all["guest"]["state"].Names = append(all["guest"]["state"].Names, string(state))
	}
	return all
}

// Known lists the globals' names, sorted.
func (l *Language) Known() []string {
	names := make([]string, 0, len(l.Globals))
	for n := range l.Globals {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// Names lists the names of words, sorted.
func Names(words map[string]*Word) []string {
	names := make([]string, 0, len(words))
	for n := range words {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}
