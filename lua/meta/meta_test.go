package meta

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vsl/lua/api"
	"vsl/lua/bind"
	"vsl/lua/language"
)

var update = flag.Bool("update", false, "write what is generated")

// What is checked in is what the program declares.
func TestWritten(t *testing.T) {
	for path, text := range map[string]string{
		"../../stdlib/meta/vsl.d.lua":  Stubs(),
		"../../stdlib/meta/luacheckrc": Luacheck(),
		"../../docs/reference.md":      Reference(),
	} {
		if *update {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != text {
			t.Errorf("%s is not what the language declares: make gen writes it", path)
		}
	}
}

// plain are the functions that Lua 5.1 itself has, which its own manual describes.
var plain = strings.Fields("assert error getmetatable ipairs next pairs pcall print rawequal rawget rawset require select setmetatable tonumber tostring type unpack xpcall")
var libraries = strings.Fields("string table math os coroutine _G _VERSION")

// The catalogue has every function that a recipe can call, and no other.
func TestCatalogueIsWhole(t *testing.T) {
	var real []string
	for name, w := range language.Load().Globals {
		switch {
		case slices.Contains(plain, name) || slices.Contains(libraries, name):
		case w.Function:
			real = append(real, name)
		default:
			for field := range w.Members {
				real = append(real, name+"."+field)
			}
		}
	}
	for kind, prefix := range map[string]string{"guest": "g:", "subnet": "subnet:"} {
		for name, w := range language.Load().Objects[kind] {
			if w.Method {
				real = append(real, prefix+name)
			}
		}
	}
	var known []string
	for _, f := range api.Functions() {
		known = append(known, f.Name)
		if f.Doc == "" || !strings.HasPrefix(f.Sig, "(") {
			t.Errorf("%s has no doc or no signature", f.Name)
		}
	}
	slices.Sort(real)
	slices.Sort(known)
	if !slices.Equal(real, known) {
		t.Errorf("a state has\n%v\nthe catalogue has\n%v", real, known)
	}
}

// Every value that a key takes has a type that editors know.
func TestTypes(t *testing.T) {
	for _, s := range bind.Schemas() {
		for _, k := range s.Keys {
			if k.Type.Lua() == "any" {
				t.Errorf("%s.%s: the type %q has no name for LuaLS", s.Name, k.Name, k.Type.Name)
			}
			if k.Doc == "" {
				t.Errorf("%s.%s has no doc", s.Name, k.Name)
			}
		}
	}
}

func TestSignature(t *testing.T) {
	for sig, want := range map[string]string{
		"()":             " -> ",
		"(): vsl.Source": " -> vsl.Source",
		"(a: string, b?: table<string, integer>): fun(t: x): y": "a=string b?=table<string, integer> -> fun(t: x): y",
		"(fn: fun(a: b, c: d), n: integer)":                     "fn=fun(a: b, c: d) n=integer -> ",
	} {
		args, returns := Signature(sig)
		var parts []string
		for _, a := range args {
			parts = append(parts, a[0]+"="+a[1])
		}
		if got := strings.Join(parts, " ") + " -> " + returns; got != want {
			t.Errorf("%s: %s, want %s", sig, got, want)
		}
	}
}

// The stubs and the configuration are Lua.
func TestStubsAreLua(t *testing.T) {
	luac, err := exec.LookPath("lua5.1")
	if err != nil {
		if os.Getenv("VSL_TEST_REQUIRE") != "" {
			t.Fatal("lua5.1 is missing: make deps installs it")
		}
		t.Skip("no lua5.1")
	}
	for name, text := range map[string]string{"stubs": Stubs(), "luacheck": "stds = {} files = {} " + Luacheck()} {
		c := exec.Command(luac, "-")
		c.Stdin = strings.NewReader(text)
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
}
