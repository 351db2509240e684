package complete

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vsl/lua/language"
	"vsl/lua/modules"
	"vsl/lua/syntax"
)

// at completes at the | in a text.
func at(t *testing.T, lang *language.Language, text string) ([]Item, string) {
	t.Helper()
	before, after, ok := strings.Cut(text, "|")
	if !ok {
		t.Fatalf("%q has no |", text)
	}
	a := language.Analyse(lang, syntax.Parse(before+after), nil)
	items, word := At(a, len(before))
	return items, (before + after)[word.From:word.To]
}

func labels(items []Item) []string {
	var out []string
	for _, i := range items {
		out = append(out, i.Label)
	}
	return out
}

func TestAt(t *testing.T) {
	guest := "guest \"a\" {\n  boot = function(g)\n    %s\n  end,\n}\n"
	for _, c := range []struct {
		text, word string
		has, not   string // labels, between spaces
		only       bool   // has is all there is
	}{
		{"gue|", "gue", "guest template pool local function", "up", false},
		{"guest \"a\" { li| }", "li", "limit ip command", "guest g", false},
		{"guest \"a\" { limit = { | } }", "", "memory memory_high cpu pids io", "limit ip guest", false},
		{"guest \"a\" { limit = { memory = \"1G\", c|", "c", "cpu cpu_weight", "memory guest", false},
		{"guest \"a\" { limit = {\n  memory = \"1G\"\n  p|\n} }", "p", "pids", "memory guest", false},
		{"guest \"a\" { limit = { io = { { | } } } }", "", "device read_bps", "memory", false},
		{"guest \"a\" { limit = { rlimits = { n| } } }", "n", "nofile nproc", "soft", false},
		{"guest \"a\" { secrets = { pw = { | } } }", "", "from owner mode", "", true},
		{"guest \"a\" { ip = { ip = \"198.51.100.1\", | } }", "", "dev", "", true},
		{"guest \"a\" { net = | }", "", `"bind" "none" guest`, "", false},
		{"guest \"a\" { net = \"|\" }", "", "bind none", "", true},
		{"guest \"a\" { net = \"b|", "b", "bind none", "", true},
		{"guest \"a\" { limit = { oom_group = | } }", "", "true false", "", false},
		{"guest \"a\" { ready = | }", "", "function(g)", "", false},
		{"guest(\"a\" .. 1) { te| }", "te", "template", "guest", false},
		{"guest(\"a\", { te| })", "te", "template", "guest", false},
		{"local limits = { | }\nguest \"a\" { limit = limits }", "", "memory", "", false},
		{"local std = require \"vsl.std\"\nguest \"a\"(std.merge(common, { li| }))", "li", "limit", "", false},
		{fmt.Sprintf(guest, "g:|"), "", "exec sh write shutdown", "name state", false},
		{fmt.Sprintf(guest, "g:ex|"), "ex", "exec", "", false},
		{fmt.Sprintf(guest, "g.|"), "", "name spec state", "exec", false},
		{fmt.Sprintf(guest, "print(g.spec.li|)"), "li", "limit ip", "name", false},
		{fmt.Sprintf(guest, "print(g.spec.limit.|)"), "", "memory", "ip", false},
		{fmt.Sprintf(guest, "g:exec { \"id\", | }"), "", "check env g guest", "code", false},
		{fmt.Sprintf(guest, "local r = g:exec { \"id\" } print(r.|)"), "", "code signal stderr stdout", "", true},
		{fmt.Sprintf(guest, "limit { g, mem| }"), "mem", "memory g", "", false},
		{fmt.Sprintf(guest, "if g.state == \"|\" then end"), "", "declared stopped running frozen failed", "", true},
		{fmt.Sprintf(guest, "retry { function() end, | }"), "", "attempts delay", "", false},
		{"local std = require \"vsl.std\"\nprint(std.|)", "", "trim merge split", "exec", false},
		{"local std = require \"vsl.std\"\nprint(std.json.|)", "", "decode encode list null", "trim", false},
		{"local std = require \"|\"", "", "vsl.flows vsl.std", "", true},
		{"local x = param.|", "", "string int secret cidr", "trim", false},
		{"local x = param.int(\"n\", { m| })", "m", "min max default doc", "pattern", false},
		{"ready = probe.|", "", "tcp http", "", false},
		{"guest \"a\" { ready = probe.http { | } }", "", "port path status within every timeout", "", true},
		{"local net = subnet(\"198.51.100.0/24\")\nlocal a = net:|", "", "at host", "", true},
		{"local s = \"x\"\nprint(s:|)", "", "format gsub upper", "exec", false},
		{"pool \"w\" { size = 1, each = function(i) return { li| } end }", "li", "limit", "guest", false},
		{"local one = 1\nlocal function f(two)\n  local three\n  |\nend", "", "one two three f print", "", false},
		{"-- gue|", "", "", "", true},
		{"local s = \"gue|\"", "gue", "", "", true},
		{"x.y.|", "", "", "", true},
		{"|", "", "guest local", "", false},
	} {
		items, word := at(t, language.Load(), c.text)
		got := labels(items)
		for _, want := range strings.Fields(c.has) {
			if !slices.ContainsFunc(got, func(s string) bool { return s == want || strings.HasPrefix(s, want+" ") }) {
				t.Errorf("%q: %s is not in %v", c.text, want, got)
			}
		}
		for _, bad := range strings.Fields(c.not) {
			if slices.Contains(got, bad) {
				t.Errorf("%q: %s is in %v", c.text, bad, got)
			}
		}
		if c.only && len(got) != len(strings.Fields(c.has)) || word != c.word {
			t.Errorf("%q: %v, word %q", c.text, got, word)
		}
	}
}

func TestSession(t *testing.T) {
	items, _ := at(t, language.Session(), "g = context { name = \"x\" }\ng:|")
	if !slices.Contains(labels(items), "exec") {
		t.Error(labels(items))
	}
	items, _ = at(t, language.Session(), "machine = guest \"x\" {}\n|")
	if got := labels(items); !slices.Contains(got, "machine") || !slices.Contains(got, "up") {
		t.Error(got)
	}
}

func TestKeysSayTheirUnits(t *testing.T) {
	items, _ := at(t, language.Load(), "guest \"a\" { limit = { mem| } }")
	i := Matching(items, "mem")[0]
	if i.Label != "memory" || i.Detail != `a size, such as "256M"` || i.Insert != "memory = " || !strings.Contains(i.Doc, "may not exceed") || !strings.Contains(i.Doc, "running guest") {
		t.Errorf("%+v", i)
	}
	items, _ = at(t, language.Load(), "guest \"a\" { limit = { mem| = 1 } }")
	if i := Matching(items, "mem")[0]; i.Insert != "memory" {
		t.Errorf("%+v", i)
	}
	if got := labels(Matching(items, "weight")); strings.Join(got, " ") != "cpu_weight io_weight" {
		t.Error(got)
	}
}

func TestHover(t *testing.T) {
	text := `-- what each may use
local limits = { memory = "1G" }
local std = require "vsl.std"
guest "a" { limit = limits, ready = probe.http { port = 80 }, boot = function(g)
  g:exec { "id", check = true }
  print(std.trim(g.name))
end }
print(std.sha256, std.json.decode)
print(std.merge)
`
	a := language.Analyse(language.Load(), syntax.Parse(text), nil)
	for _, c := range []struct{ word, want string }{
		{"memory", "**limit.memory**: a size, such as \"256M\""},
		{"limits,", "local **limits**: a table\n\nwhat each may use"},
		{"guest", "`guest(name: string): fun(t: vsl.guest): vsl.Guest`: Declares a guest"},
		{"http", "`probe.http(t?: vsl.probe.http|integer): vsl.Probe`"},
		{"port", "the port, 1 to 65535"},
		{"exec", "`g:exec(command: vsl.exec): vsl.Result`: Runs a command"},
		{"check", "raise an error when the command fails"},
		{"sha256", "`vsl.std.sha256(text: string): string`: gives the SHA-256 of a text, as 64 hexadecimal digits."},
		{"decode", "`vsl.std.json.decode(text: string): any`: reads JSON"},
		{"trim", "**vsl.std.trim(s)**\n\ntakes the space off both ends."},
		{"g.name", "parameter **g**: a guest"},
		{"name)", "The guest's name."},
		{"ready", "default: sd_notify"},
		{"print(std.m", "**print**"},
	} {
		got, at := Hover(a, strings.Index(text, c.word)+1)
		if !strings.Contains(got, c.want) || at.To <= at.From {
			t.Errorf("%s: %q", c.word, got)
		}
	}
	if got, _ := Hover(a, strings.Index(text, "80")); got != "" {
		t.Error(got)
	}
}

func TestDefinition(t *testing.T) {
	text := "local m = require \"m\"\nlocal function f() return m.twice(2) end\nlocal x = f()\nprint(x)\n"
	find := func(string) (*modules.File, error) {
		return &modules.File{Path: "/m.lua", Text: []byte("local m = {}\nfunction m.twice(n) return 2 * n end\nreturn m\n")}, nil
	}
	a := language.Analyse(language.Load(), syntax.Parse(text), find)
	for _, c := range []struct{ at, want string }{{"f()\nprint", "f"}, {"x)", "x"}, {"m.twice", "m"}, {"twice", "twice in /m.lua"}, {"\"m\"", " in /m.lua"}, {"print", "none"}} {
		got := "none"
		if target, ok := Definition(a, strings.LastIndex(text, c.at)); ok {
			got = a.File.Text[target.From:target.To]
			if target.Module != nil {
				got = target.Module.File.Text[target.From:target.To] + " in " + target.Module.Path
			}
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.at, got, c.want)
		}
	}
}

// TestEverywhere asks at each place of each recipe, as it is and cut off there.
func TestEverywhere(t *testing.T) {
	files, err := filepath.Glob("../../recipes/*/*.lua")
	if err != nil || len(files) < 7 {
		t.Fatal(files, err)
	}
	step := 1
	if testing.Short() {
		step = 13
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		whole := language.Analyse(language.For(name), syntax.Parse(string(text)), nil)
		for i := 0; i <= len(text); i += step {
			everything(whole, i)
			if i%5 == 0 || step > 1 {
				everything(language.Analyse(language.For(name), syntax.Parse(string(text[:i])), nil), i)
			}
		}
	}
}

func everything(a *language.Analysis, at int) {
	At(a, at)
	Hover(a, at)
	Definition(a, at)
}

func FuzzAt(f *testing.F) {
	f.Add("guest \"a\" { limit = { ", 5)
	f.Add("local std = require \"vsl.std\" std.", 33)
	f.Fuzz(func(t *testing.T, text string, at int) {
		if len(text) > 2048 {
			return
		}
		everything(language.Analyse(language.Load(), syntax.Parse(text), nil), at)
	})
}
