package runtime

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	lua "github.com/yuin/gopher-lua"

	"vsl/tests/fixture"
)

var update = flag.Bool("update", false, "write the golden files anew")

const (
	official = "_lua5.1-tests" // Lua's own tests, as gopher-lua carries them
	upstream = "_glua-tests"   // gopher-lua's
)

// notApplicable are the files that test what no recipe has, or nothing at all.
var notApplicable = map[string]string{
	official + "/all.lua":        "runs the other files",
	official + "/api.lua":        "needs the T library of a C build made for tests",
	official + "/code.lua":       "needs the T library of a C build made for tests",
	official + "/checktable.lua": "needs the T library of a C build made for tests",
	official + "/big.lua":        "fills hundreds of megabytes, to see a C allocator refuse",
	official + "/gc.lua":         "loops until C Lua's collector has run; memory is Go's business",
	official + "/main.lua":       "tests the lua command",
	official + "/verybig.lua":    "takes gopher-lua's compiler minutes; vsl bounds that",
	official + "/files.lua":      "tests io, which recipes do not have",
	upstream + "/os.lua":         "tests os.execute, os.rename and os.setenv, which recipes do not have",
}

const like51 = "operators' errors are told as in Lua 5.1"

// amended is what is changed in a file where it differs here on purpose.
var amended = map[string][]struct{ old, new, why string }{
	upstream + "/base.lua": {
		{`string.find(string.lower(msg), "eof")`, `string.find(msg, "end of the file")`, "our words for a text that ends too early"},
	},
	upstream + "/issues.lua": {
		{"assert(result == ", "local _ = (result == ", "tracebacks of the debug library, which recipes do not have, show our own functions"},
		{"attempt to call a non-function object", "attempt to call field 'notfound' (a nil value)", like51},
	},
	upstream + "/vm.lua": {
		{"__unm undefined", "attempt to perform arithmetic on", like51},
		{"for statement init", "'for' initial value", like51},
		{"for statement limit", "'for' limit", like51},
		{"for statement step", "'for' step", like51},
		{"cannot perform add operation between table and function", "attempt to perform arithmetic on a table value", like51},
		{"cannot perform concat operation between table and function", "attempt to concatenate a table value", like51},
	},
	upstream + "/strings.lua": {
		{`"hello hello %c world world %c"`, `"hello hello c world world c"`, "gsub's %c is c, as in Lua 5.1"},
	},
	official + "/pm.lua": {
		{"assert(string.gfind == string.gmatch)", "", "no string.gfind, which Lua 5.1 deprecates"},
	},
	official + "/nextvar.lua": {
		{`print('testing tables, next, and for')`, `print('testing tables, next, and for') function table.foreach(t, f) for k, v in pairs(t) do local r = f(k, v) if r ~= nil then return r end end end function table.foreachi(t, f) for k, v in ipairs(t) do local r = f(k, v) if r ~= nil then return r end end end`, "with table.foreach, which Lua 5.1 deprecates"},
		{`for i="10","1","-2" do`, "for i=10,1,-2 do", "gopher-lua's numeric for takes numbers only"},
		{"for i=0,50 do", "for i=0,20 do", "gopher-lua gives a list room for all items below its largest: 2^26 is a gigabyte, and refused"},
	},
}

// TestLua51 runs Lua's own tests and gopher-lua's, on gopher-lua as it is and on our
// state with what recipes do not get put back. testdata/lua51.golden tells where
// each stops. Nothing may stop earlier here than there.
func TestLua51(t *testing.T) {
	if testing.Short() && *update {
		t.Fatal("-update needs the whole run")
	}
	golden, err := filepath.Abs("testdata/lua51.golden")
	if err != nil {
		t.Fatal(err)
	}
	module := moduleDir(t)
	var got strings.Builder
	for _, dir := range []string{official, upstream} {
		files, err := filepath.Glob(filepath.Join(module, dir, "*.lua"))
		if err != nil || len(files) == 0 {
			t.Fatal("no tests in ", dir, err)
		}
		for _, f := range files {
			name := dir + "/" + filepath.Base(f)
			if why := notApplicable[name]; why != "" {
				fmt.Fprintf(&got, "%s: not applicable: %s\n", name, why)
				continue
			}
			theirs := runFile(t, module, name, false)
			ours := runFile(t, module, name, true)
			fmt.Fprintf(&got, "%s: gopher-lua %s; vsl %s\n", name, theirs, ours)
			told := ""
			for _, a := range amended[name] {
				if a.why != told {
					fmt.Fprintf(&got, "\t%s\n", a.why)
				}
				told = a.why
			}
			if theirs.passed && !ours.passed {
				t.Errorf("%s passes on gopher-lua and stops here at %s", name, ours)
			}
		}
	}
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || string(want) != got.String() {
		t.Errorf("%v; got:\n%s\nwant (go test -run TestLua51 -update writes it):\n%s", err, &got, want)
	}
}

// moduleDir is where the sources of gopher-lua are.
func moduleDir(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/yuin/gopher-lua").Output()
	dir := strings.TrimSpace(string(out))
	if err != nil || dir == "" {
		t.Fatalf("where are gopher-lua's sources? %q, %v", out, err)
	}
	return dir
}

// outcome is how far a file came.
type outcome struct {
	passed bool
	text   string
}

func (o outcome) String() string { return o.text }

var stopLine = regexp.MustCompile(`(?m)([a-z]+\.lua)(?::(\d+):| line:(\d+)\()`)

// runFile runs one file in a copy of its folder and tells where it stopped.
func runFile(t *testing.T, module, name string, ours bool) outcome {
	t.Helper()
	dir, file := filepath.Split(name)
	here := t.TempDir()
	if err := os.CopyFS(here, os.DirFS(filepath.Join(module, dir))); err != nil {
		t.Fatal(err)
	}
	back, err := os.Getwd()
	if err == nil {
		err = os.Chdir(here)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := os.Chdir(back); err != nil {
			t.Fatal(err)
		}
	}()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), fixture.Patience(2*time.Minute))
	defer cancel()
	if ours {
		for _, a := range amended[name] {
			if !bytes.Contains(text, []byte(a.old)) {
				t.Errorf("%s has no %s", name, a.old)
			}
			text = bytes.ReplaceAll(text, []byte(a.old), []byte(a.new))
		}
		err = runOurs(ctx, file, text)
	} else {
		err = runStock(ctx, file)
	}
	if err == nil {
		return outcome{true, "passes"}
	}
	t.Logf("%s: %.300s", file, err)
	m := stopLine.FindStringSubmatch(err.Error())
	switch {
	case ctx.Err() != nil:
		return outcome{false, "takes too long"}
	case m == nil:
		return outcome{false, "stops: " + strings.SplitN(err.Error(), "\n", 2)[0]}
	}
	return outcome{false, "stops at " + m[1] + ":" + m[2] + m[3]}
}

func stockOptions() lua.Options {
	return lua.Options{CallStackSize: 1024, RegistrySize: 20 * 1024, IncludeGoStackTrace: true}
}

func runStock(ctx context.Context, file string) error {
	l := lua.NewState(stockOptions())
	defer l.Close()
	l.SetContext(ctx)
	l.SetGlobal("print", l.NewFunction(func(*lua.LState) int { return 0 }))
	return l.DoFile(file)
}

// runOurs runs a file as recipes are run: read by our walker, with our own functions.
func runOurs(ctx context.Context, file string, text []byte) error {
	s := New(Options{Stdout: &bytes.Buffer{}})
	defer s.Close()
	s.SetReading(true) // each table constructor is noted
	s.putBack()
	return s.Do(ctx, func(l *lua.LState) error {
		fn, _, err := s.Compile(file, text)
		if err == nil {
			_, err = s.Call(l, fn)
		}
		return err
	})
}

// putBack gives a state what recipes do not get: globals that are not declared, and
// the libraries in refused. What compiles text uses our compiler.
func (s *State) putBack() {
	l := s.l
	g := l.G.Global
	g.Metatable = lua.LNil
	stock := lua.NewState()
	defer stock.Close()
	lua.OpenPackage(l)
	lua.OpenIo(l)
	lua.OpenDebug(l)
	fill(l, stock.G.Global, g)
	loaded := g.RawGetString("package").(*lua.LTable).RawGetString("loaded").(*lua.LTable)
	loaded.RawSetString("_G", g)
	for _, name := range []string{"string", "table", "math", "os", "coroutine", "io", "debug", "package"} {
		t := g.RawGetString(name).(*lua.LTable)
		t.Metatable = lua.LNil
		fill(l, stock.G.Global.RawGetString(name).(*lua.LTable), t)
		loaded.RawSetString(name, t)
	}
	g.RawSetString("require", l.NewFunction(stock.GetGlobal("require").(*lua.LFunction).GFunction))
	mt := l.NewTable()
	mt.RawSetString("__index", g.RawGetString("string"))
	l.SetMetatable(lua.LString(""), mt)
	s.putBackLoad(g)
}

// fill gives a table the functions and values of gopher-lua's that it does not have.
func fill(l *lua.LState, from, to *lua.LTable) {
	from.ForEach(func(k, v lua.LValue) {
		if to.RawGet(k) != lua.LNil {
			return
		}
		switch v := v.(type) {
		case *lua.LFunction:
			to.RawSet(k, l.NewFunction(v.GFunction))
		case lua.LString, lua.LNumber:
			to.RawSet(k, v)
		}
	})
}

func (s *State) putBackLoad(g *lua.LTable) {
	compile := func(l *lua.LState, name, text string) int {
		fn, _, err := s.compile(name, []byte(text), false)
		if err != nil {
			l.Push(lua.LNil)
			l.Push(lua.LString(err.Error()))
			return 2
		}
		fn.Env = l.Env
		l.Push(fn)
		return 1
	}
	set := func(name string, fn lua.LGFunction) { g.RawSetString(name, s.l.NewFunction(fn)) }
	set("loadstring", func(l *lua.LState) int { return compile(l, l.OptString(2, "<string>"), l.CheckString(1)) })
	set("load", func(l *lua.LState) int {
		var text strings.Builder
		for {
			l.Push(l.CheckFunction(1))
			l.Call(0, 1)
			part := l.Get(-1)
			l.Pop(1)
			switch {
			case part == lua.LNil || part.String() == "":
				return compile(l, l.OptString(2, "?"), text.String())
			case !lua.LVCanConvToString(part):
				l.Push(lua.LNil)
				l.Push(lua.LString("reader function must return a string"))
				return 2
			}
			text.WriteString(part.String())
		}
	})
	file := func(l *lua.LState) int {
		text, err := os.ReadFile(l.CheckString(1))
		if err != nil {
			l.Push(lua.LNil)
			l.Push(lua.LString(err.Error()))
			return 2
		}
		return compile(l, l.CheckString(1), string(text))
	}
	set("loadfile", file)
	set("dofile", func(l *lua.LState) int {
		if file(l) == 2 {
			l.Error(l.Get(-1), 0)
		}
		top := l.GetTop()
		l.Call(0, lua.MultRet)
		return l.GetTop() - top + 1
	})
}
