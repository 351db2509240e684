package lua

import (
	"context"
	"io"
	"reflect"
	"strings"
	"testing"

	"vsl/engine"
)

func loadText(t *testing.T, text string) (*Recipe, error) {
	t.Helper()
	r, err := Load(context.Background(), "r.lua", []byte(text), Options{Dir: t.TempDir(), Stdout: io.Discard, Stderr: io.Discard})
	if err == nil {
		t.Cleanup(r.Close)
	}
	return r, err
}

func TestPool(t *testing.T) {
	r, err := loadText(t, `
local web = pool "web" { size = 3, max_unavailable = 2, each = function(i)
  return { command = "x", env = { N = i }, after = i > 1 and { db = "ready" } or nil }
end }
guest "db" { command = "x" }
guest "lb" { command = "x", after = { [web] = "started", web2 = "ready" }, env = { FIRST = web[1].name, SIZE = web.size, NONE = tostring(web[4]) } }
guest "mon" { command = "x", after = "web" }
local none = pool("none", { size = 0, each = function(i) error("not called") end })
guest "alone" { command = "x", after = none }`)
	if err != nil {
		t.Fatal(err)
	}
	after := map[string]map[string]string{}
	byName := map[string]*engine.Spec{}
	var names []string
	for _, d := range r.Guests {
		names = append(names, d.Spec.Name+":"+d.Spec.Pool)
		after[d.Spec.Name], byName[d.Spec.Name] = d.Spec.After, d.Spec
	}
	if want := []string{"web1:web", "web2:web", "web3:web", "db:", "lb:", "mon:", "alone:"}; !reflect.DeepEqual(names, want) {
		t.Errorf("guests %v, want %v", names, want)
	}
	want := map[string]map[string]string{
		"web1": nil, "web2": {"db": "ready"}, "web3": {"db": "ready"}, "db": nil, "alone": nil,
		"lb":  {"web1": "started", "web2": "ready", "web3": "started"},
		"mon": {"web1": "ready", "web2": "ready", "web3": "ready"},
	}
	if !reflect.DeepEqual(after, want) {
		t.Errorf("after %v, want %v", after, want)
	}
	if env := byName["lb"].Env; env["FIRST"] != "web1" || env["SIZE"] != "3" || env["NONE"] != "nil" {
		t.Errorf("what a pool's handle gives: %v", env)
	}
	if env := byName["web3"].Env; env["N"] != "3" {
		t.Errorf("each was called with %v", env)
	}
	if p := r.Pools[0]; p.Name != "web" || p.Size != 3 || p.MaxUnavailable != 2 || p.Pos.Line != 2 || r.Pools[1].MaxUnavailable != 1 {
		t.Errorf("pools %+v, %+v", r.Pools[0], r.Pools[1])
	}
}

func TestPoolMistakes(t *testing.T) {
	each := "each = function(i) return {} end"
	for _, tt := range []struct{ text, err string }{
		{`pool "web" { ` + each + ` }`, `r.lua:1: pool "web": size is missing: how many guests`},
		{`pool "web" { size = 2 }`, `r.lua:1: pool "web": each is missing`},
		{`pool "web" { size = -1, ` + each + ` }`, `r.lua:1: pool "web": size: -1 is not between 0 and 20000`},
		{`pool "web" { size = 1.5, ` + each + ` }`, `size: must be a whole number`},
		{`pool "web" { size = 1, sise = 2, ` + each + ` }`, `unknown key "sise" (did you mean "size"?)`},
		{`pool "web" { size = 1, max_unavailable = 0, ` + each + ` }`, `max_unavailable: 0 is not between 1 and`},
		{"pool \"web\" { size = 1, each = function(i)\nreturn 5 end }", `pool "web": each(1) must return a guest's table, not the number 5`},
		{"pool \"web\" { size = 1, each = function(i)\nerror('no ' .. i) end }", `r.lua:2: no 1`},
		{"pool \"web\" { size = 1, each = function(i)\nreturn { limt = {} } end }", `r.lua:2: guest "web1": unknown key "limt" (did you mean "limit"?)`},
		{`pool "web"`, `pool "web" has no table`},
		{`pool "web" { size = 1, ` + each + ` } pool "web" { size = 1, ` + each + ` }`, `pool "web": is declared twice, first at r.lua:1`},
		{"guest \"web\" {}\npool \"web\" { size = 1, " + each + " }", `r.lua:2: pool "web": a guest at r.lua:1 has the same name`},
		{`pool "we b" { size = 1, ` + each + ` }`, `"we b" is not a name`},
		{`local p = pool "web" { size = 1, ` + each + ` } print(p.sise)`, `a pool has no "sise"`},
	} {
		_, err := loadText(t, tt.text)
		if err == nil || !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s:\n  %v\nwant\n  %s", tt.text, err, tt.err)
		}
	}
}

func TestSecrets(t *testing.T) {
	r, err := loadText(t, `
guest "a" { command = "x", secrets = { pw = secret.file("pw.txt"), key = { from = secret.env("KEY"), owner = 33, mode = "0440" } } }
print(secret.env("KEY"))`)
	if err != nil {
		t.Fatal(err)
	}
	s := r.Guests[0].Spec.Secrets
	if !strings.HasSuffix(s["pw"].File, "/pw.txt") || s["key"] != (engine.Secret{Env: "KEY", Owner: 33, Mode: 0o440}) {
		t.Errorf("%+v", s)
	}
	for _, tt := range []struct{ text, err string }{
		{`guest "a" { secrets = { pw = "hunter2" } }`, `r.lua:1: guest "a": secrets.pw: must be secret.file, secret.env or param.secret, not a string`},
		{`guest "a" { secrets = { secret.env("A") } }`, `1 is not a file name for a secret`},
		{`guest "a" { secrets = { ["../x"] = secret.env("A") } }`, `../x is not a file name for a secret`},
		{`guest "a" { secrets = "hunter2" }`, `secrets: must be a table of secrets`},
		{`guest "a" { secrets = { pw = { owner = 5 } } }`, `secrets.pw: from is missing`},
		{`guest "a" { secrets = { pw = { from = secret.env("A"), mode = "0644" } } }`, `secrets.pw.mode: 0644 allows more than to read it`},
		{`guest "a" { secrets = { pw = { from = secret.env("A"), owner = 65536 } } }`, `65536 is not between 0 and 65535`},
		{`secret.file("/etc/shadow")`, `secret.file: /etc/shadow is outside the recipe's folder (--allow-host allows it`},
		{`secret.file("../x")`, `is outside the recipe's folder`},
		{`secret.fiel("x")`, `did you mean "file"`},
		{`local s = secret.env("A") print(s.text)`, `a secret has no "text"`},
	} {
		_, err := loadText(t, tt.text)
		if err == nil || !strings.Contains(err.Error(), tt.err) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s:\n  %v\nwant\n  %s", tt.text, err, tt.err)
		}
	}
}
