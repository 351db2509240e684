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
	"vsl/lua/test"
	"vsl/stdlib"
)

// Word is a global, a field of one, or a field or method of an object.
type Word struct {
	Name     string // as it is written: "probe.http", "g:exec"
	Doc      string
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

// gives says what kind of object a function gives.
var gives = map[string]string{
	"guest": "guest", "context": "guest", "cow_clone": "guest", "limit": "guest", "bind_ip": "guest", "boot": "guest", "kill": "guest",
	"template": "template", "pool": "pool", "host": "source", "debian": "source", "tar": "source", "subnet": "subnet",
}

// load asks the interpreter what there is.
func load(session bool) *Language {
	s := runtime.New(runtime.Options{Stdlib: stdlib.FS})
	defer s.Close()
	api.Open(s, api.Options{})
	schemas := map[string]*bind.Schema{}
	for _, schema := range bind.Schemas() {
		schemas[schema.Name] = schema
	}
	lang := &Language{Globals: map[string]*Word{}, Objects: objects()}
	for _, name := range s.Globals() {
		lang.Globals[name] = word(name, s.GetGlobal(name), schemas)
	}
	for _, name := range slices.Concat(api.Primitives, api.Words) {
		lang.Globals[name].Acts = true
	}
	for _, name := range []string{"guest", "template", "pool"} {
		lang.Globals[name].Declares = true
	}
	lang.Globals["timeout"].Schema = nil // the key of a guest with this name is another thing
	if session {
		for name, doc := range map[string]string{"up": "Brings a guest up with its flows.", "down": "Brings a guest down with its flows."} {
			lang.Globals[name] = &Word{Name: name, Doc: doc, Function: true}
		}
	}
	return lang
}

func word(name string, v glua.LValue, schemas map[string]*bind.Schema) *Word {
	w := &Word{Name: name, Gives: gives[name]}
	switch v := v.(type) {
	case *glua.LFunction:
		w.Function = true
		if s := schemas[name]; s != nil {
			w.Schema, w.Doc = s, s.Doc
		}
		if kind, _, ok := strings.Cut(name, "."); ok && w.Gives == "" && (kind == "probe" || kind == "secret") {
			w.Gives = kind
		}
	case *glua.LTable:
		w.Members = map[string]*Word{}
		if name == "_G" {
			return w
		}
		v.ForEach(func(k, e glua.LValue) {
			_, table := e.(*glua.LTable) // __index of string is string
			if key, ok := k.(glua.LString); ok && !table {
				w.Members[string(key)] = word(name+"."+string(key), e, schemas)
			}
		})
	}
	return w
}

// objects are the kinds of object with their fields and methods.
func objects() map[string]map[string]*Word {
	states := []string{string(engine.StateDeclared), string(engine.StateStopped), string(engine.StateRunning), string(engine.StateFrozen)}
	guest := map[string]*Word{}
	for _, f := range api.Fields() {
		guest[f.Name] = &Word{Name: "g." + f.Name, Doc: f.Doc}
	}
	guest["state"].Names = states
	guest["spec"].Gives, guest["spec"].Schema = "table", bind.GuestSchema
	for _, m := range api.Methods() {
		guest[m.Name] = &Word{Name: "g:" + m.Name, Doc: m.Doc, Schema: m.Options, Function: true, Method: true, Acts: true}
	}
	for name, kind := range map[string]string{"exec": "result", "sh": "result", "status": "status", "wait": "exit"} {
		guest[name].Gives = kind
	}
	fields := func(of string, pairs ...string) map[string]*Word {
		m := map[string]*Word{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = &Word{Name: of + "." + pairs[i], Doc: pairs[i+1]}
		}
		return m
	}
	all := map[string]map[string]*Word{
		"guest":    guest,
		"template": fields("template", "name", "The template's name."),
		"pool":     fields("pool", "name", "The pool's name.", "size", "How many guests it has; pool[1] is the first."),
		"subnet":   fields("subnet", "bits", "The length of its prefix."),
		"result":   fields("result", "code", "The exit status.", "signal", "The signal that ended it, or 0.", "stdout", "What it printed.", "stderr", "Its messages."),
		"source":   {}, "probe": {}, "secret": {},
	}
	for _, name := range []string{"at", "host"} {
		all["subnet"][name] = &Word{Name: "subnet:" + name, Doc: "Gives the n-th address of the subnet.", Function: true, Method: true, Gives: "string"}
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
