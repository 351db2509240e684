package guest

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"vsl/engine"
	"vsl/tests/fixture"
)

// stateFile is one of the files in which vsl keeps what it knows of a guest.
type stateFile struct {
	name, path string
	other      string // the same file of another guest
	newer      func(text string) string
	named      bool // damage to it is told with its path; else it is one that may be lost
	noEmpty    bool // empty and missing are what it may be
	remedy     func(r *root, path string)
}

func stateFiles(r *root) []stateFile {
	newer := func(text string) string { return strings.Replace(text, `"version": 1`, `"version": 999`, 1) }
	g := func(name, file string) string { return filepath.Join(r.dir, "guests", name, file) }
	run := func(file string) string { return filepath.Join(r.dir, "run", file) }
	return []stateFile{
		{name: "record", path: g("bad", "guest.json"), other: g("good", "guest.json"), newer: newer, named: true,
			remedy: func(r *root, _ string) { r.must("rm", "-ff", "bad") }},
		{name: "hint", path: run("bad.json"), other: run("good.json"), newer: newer},
		{name: "journal", path: run("bad.journal"), other: run("good.journal"), named: true, noEmpty: true,
			newer:  func(string) string { return "{\"version\":999}\n{\"undo\":\"remove guest\"}\n" },
			remedy: func(r *root, path string) { os.Remove(path); r.must("gc"); r.must("down", "bad") }},
		{name: "kept recipe", path: g("bad", "recipe/recipe.lua"), other: g("good", "guest.json")},
		{name: "data", path: g("bad", "data.json"), other: g("good", "guest.json")}, // any table may be data
		{name: "key of secrets", path: filepath.Join(r.dir, "secret.key"), other: g("good", "guest.json")},
	}
}

// damages are what can become of a file: its text after it, or nil where it is gone.
func (f stateFile) damages(text, other string) map[string]*string {
	half, empty, table, garbage := text[:len(text)/2], "", "{}\n", "\x00\xff not what was written\n\x00\n"
	out := map[string]*string{"missing": nil, "empty": &empty, "truncated": &half, "{}": &table, "garbage": &garbage, "of another guest": &other}
	if f.newer != nil {
		n := f.newer(text)
		out["of a newer version"] = &n
	}
	return out
}

// damageRecipe has what makes each of the state files: data, flows of its own, a secret.
const damageRecipe = `for _, n in ipairs { "bad", "good", "db" } do
  guest(n) { template = box, command = { "sleep", "infinity" }, secrets = { s = secret.env("VSL_TEST_SECRET") },
    run = function(g) g.data.boots = (g.data.boots or 0) + 1; g:write("/precious", g.name) end,
    shutdown = function(g) g:exec { "true" } g:kill() end }
end`

// Whatever becomes of a state file of one guest: no verb breaks, the others go on, what
// the guest wrote stays, its ids are nobody else's, and what is told to do about it works.
func TestDamagedStateFiles(t *testing.T) {
	fixture.HostTierOnly(t)
	t.Setenv("VSL_TEST_SECRET", "s3cret")
	r := newRoot(t)
	recipe := r.recipe(damageRecipe)
	r.must("up", recipe, "bad", "good")
	xid, good := r.status("bad").XID, r.status("good").PID
	for _, f := range stateFiles(r) {
		saved, _ := os.ReadFile(f.path)
		other, _ := os.ReadFile(f.other)
		if f.name == "journal" {
			saved, other = []byte("{\"version\":1,\"guest\":\"bad\"}\n{\"undo\":\"x\"}\n"), []byte("{\"version\":1,\"guest\":\"good\"}\n{\"undo\":\"remove guest\"}\n")
		}
		for kind, text := range f.damages(string(saved), string(other)) {
			t.Run(f.name+" "+kind, func(t *testing.T) {
				d := &damageCase{root: r.in(t), recipe: recipe, file: f, kind: kind, xid: xid, good: good}
				d.write(text)
				d.verbs()
				if f.name == "journal" {
					os.Remove(f.path)
				} else if err := os.WriteFile(f.path, saved, 0o600); err != nil {
					t.Fatal(err)
				}
				d.must("up", recipe, "bad")
				expect(t, "its file", d.out("bad", "cat", "/precious"), "bad")
			})
		}
		if f.remedy != nil {
			garbage := "\x00\n\x00\n"
			d := &damageCase{root: r, file: f}
			d.write(&garbage)
			d.fails(1, []string{f.path}, "kill", "bad")
			f.remedy(r, f.path)
			r.must("up", recipe, "bad")
			xid = r.status("bad").XID
			expect(t, "the other's pid", r.status("good").PID, good)
		}
	}
}

// damageCase is one damage to one file.
type damageCase struct {
	*root
	recipe string
	file   stateFile
	kind   string
	xid    int
	good   int // pid
}

func (d *damageCase) write(text *string) {
	d.t.Helper()
	os.Remove(d.file.path)
	if text != nil {
		if err := os.WriteFile(d.file.path, []byte(*text), 0o600); err != nil {
			d.t.Fatal(err)
		}
	}
}

// verbs runs every verb: with those for the other guest nothing may be wrong.
func (d *damageCase) verbs() {
	d.t.Helper()
	named := d.file.named && !(d.file.noEmpty && (d.kind == "missing" || d.kind == "empty" || d.kind == "truncated"))
	newer := d.kind == "of a newer version" && (d.file.named || d.file.name == "hint")
	told := false
	for _, args := range [][]string{
		{"ls"}, {"ls", "--json"}, {"gc"}, {"status", "bad"}, {"logs", "bad"}, {"exec", "bad", "true"}, {"limit", "bad", "pids=200"},
		{"freeze", "bad"}, {"thaw", "bad"}, {"plan", d.recipe}, {"up", d.recipe, "db"}, {"up", d.recipe}, {"restart", "db"},
		{"up", "--all"}, {"kill", "--signal", "CONT", "bad"}, {"template", "ls"}, {"template", "rm", "box"}, {"down", "db"}, {"rm", "db"}, {"gc"},
		{"ls"}, {"down", "bad"}, {"rm", "bad-is-not-removed"},
	} {
		res := d.vsl(args...)
		all := res.out + res.err
		if strings.Contains(all, "goroutine ") || strings.Contains(all, "panic") || strings.Contains(all, "nil pointer") {
			d.t.Fatalf("vsl %v: %s", args, all)
		}
		told = told || strings.Contains(res.err, d.file.path)
		if args[0] == "ls" && (res.code != 0 || !strings.Contains(res.out, "good")) {
			d.t.Errorf("vsl %v: exit %d: %s", args, res.code, all)
		}
		if args[0] == "up" && args[len(args)-1] == "db" || args[len(args)-1] == "db" {
			if res.code != 0 {
				d.t.Errorf("vsl %v: exit %d: %s", args, res.code, all)
			}
		}
		if args[0] == "up" && len(args) == 3 {
			if s := d.status("db"); s.XID == d.xid || s.XID == d.status("good").XID {
				d.t.Errorf("the third guest has xid %d, which is another one's", s.XID)
			}
		}
		if newer && len(d.procs("bad")) == 0 {
			d.t.Fatalf("after vsl %v nothing runs of a guest that a newer vsl wrote", args)
		}
	}
	if told != (named || newer) && d.file.named {
		d.t.Errorf("some verb named %s: %v, want %v", d.file.path, told, named)
	}
	if !newer && !named && len(d.procs("bad")) != 0 {
		d.t.Errorf("after down these run: %v", d.procs("bad"))
	}
	s := d.status("good")
	expect(d.t, "the other's state", s.State, engine.StateRunning)
	expect(d.t, "the other's pid", s.PID, d.good)
	expect(d.t, "the other's file", d.out("good", "cat", "/precious"), "good")
	upper := filepath.Join(d.dir, "guests", "bad", "upper")
	if _, err := os.Lstat(filepath.Join(upper, "precious")); err != nil {
		d.t.Errorf("what it wrote: %v", err)
	}
	if owner, _ := os.Readlink(filepath.Join(d.dir, "xids", strconv.Itoa(d.xid))); owner != "bad" {
		d.t.Errorf("xid %d belongs to %q", d.xid, owner)
	}
}
