package engine

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vsl/engine/rootfs"
	"vsl/engine/store"
)

// stateRoot is an engine on a copy of the state that some version of vsl wrote.
func stateRoot(t *testing.T, version string) *Engine {
	t.Helper()
	e := testEngine(t)
	if err := e.ensure(); err != nil {
		t.Fatal(err)
	}
	from := filepath.Join("testdata", "state", version)
	if err := os.CopyFS(e.Root(), os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return e
}

// edit replaces text in a file of the state.
func edit(t *testing.T, path, from, to string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), from) {
		t.Fatalf("%s has no %s", path, from)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(data), from, to, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// What the versions before wrote is read as what it was. Each folder of testdata/state
// holds the files of one: a new one is added when a version changes, none is changed.
func TestOlderStateIsRead(t *testing.T) {
	for _, version := range []string{"old", "1"} {
		t.Run(version, func(t *testing.T) {
			e := stateRoot(t, version)
			rec, err := e.readRecord("web")
			if err != nil || rec == nil {
				t.Fatalf("readRecord = %v, %v", rec, err)
			}
			if rec.XID != 19731 || rec.Clone != "overlay" || !rec.Provisioned || *rec.Spec.Limits.Memory != 64<<20 ||
				ips(rec.Spec.Net)[0] != "2001:db8::7" || rec.Spec.Custom["destroy"].Line != 4 || rec.Recipe.File != "recipe.lua" {
				t.Errorf("its record is read as %+v", rec)
			}
			all, bad, err := e.List()
			if err != nil || len(all) != 1 || len(bad) != 0 {
				t.Errorf("List = %v, %v, %v; want one guest", all, bad, err)
			}
			undos, err := e.readJournal("web")
			var ops []string
			for _, u := range undos {
				ops = append(ops, string(u.Op))
			}
			if got := strings.Join(ops, ", "); err != nil || got != "remove guest, release context, remove clone, restore limits" {
				t.Errorf("readJournal = %s, %v", got, err)
			}
			if run, err := e.readRun("web"); err != nil || run.PID != 0 {
				t.Errorf("the hint of another boot is read as %+v, %v", run, err)
			}
			dir := filepath.Join(e.Root(), "templates", "host-1")
			os.MkdirAll(dir, 0o700)
			os.Rename(filepath.Join(e.Root(), "template.json"), filepath.Join(dir, "template.json"))
			if tm, err := (&rootfs.Store{Dir: filepath.Dir(dir)}).Lookup("host", "1"); err != nil || tm.Name != "host" {
				t.Errorf("its template is read as %+v, %v", tm, err)
			}
		})
	}
}

// A newer file is refused, and nothing of the guest is touched.
func TestNewerStateIsRefused(t *testing.T) {
	for _, c := range []struct {
		file, from, to string
		read           func(e *Engine) error
	}{
		{"guests/web/guest.json", `"version": 1`, `"version": 2`, func(e *Engine) error { _, err := e.readRecord("web"); return err }},
		{"guests/web/guest.json", `"version": 1,`, `"version": 2, "xid": {},`, func(e *Engine) error { _, err := e.lookup("web"); return err }},
		{"run/web.json", `"version": 1`, `"version": 2`, func(e *Engine) error { _, err := e.readRun("web"); return err }},
		{"run/web.journal", `"version":1`, `"version":2`, func(e *Engine) error { _, _, err := e.recover(t.Context(), "web"); return err }},
	} {
		e := stateRoot(t, "1")
		path := filepath.Join(e.Root(), c.file)
		edit(t, path, c.from, c.to)
		before, _ := os.ReadFile(path)
		err := c.read(e)
		if d := asDamage(err); d == nil || !d.Newer || !errors.Is(err, store.ErrNewer) || !strings.Contains(d.Hint, "use the vsl that wrote it") {
			t.Errorf("%s: %v; want that a newer vsl wrote it", c.file, err)
		}
		if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
			t.Errorf("%s was changed", c.file)
		}
	}
}

// What is no record is never one, and what is no journal is not undone in part.
func TestDamagedStateIsNamed(t *testing.T) {
	record, journal := "guests/web/guest.json", "run/web.journal"
	for _, c := range []struct{ file, text, says string }{
		{record, "", "it is empty"},
		{record, "{}", "lacks what every record has"},
		{record, `{"version": 1, "name": "web"`, "unexpected end"},
		{record, "\x00\x00\x00", "invalid character"},
		{record, `{"version": 1, "name": "db", "xid": 5000, "spec": {"name": "db"}}`, `that of guest "db"`},
		{record, `{"version": 1, "name": "web", "xid": 70000, "spec": {"name": "web"}}`, "lacks what every record has"},
		{record, `{"version": 1, "name": "web", "xid": 5000, "spec": {"name": "web"}, "template_key": "x"}`, "lacks what every record has"},
		{journal, "{}\n", "no undo that vsl knows"},
		{journal, "{\"undo\":\"remove guest\"}\n???\n{\"undo\":\"remove clone\"}\n", "line 2 is no JSON"},
		{journal, "{\"version\":1,\"guest\":\"db\"}\n{\"undo\":\"remove guest\"}\n", `that of guest "db"`},
		{journal, "{\"undo\":\"remove guest\"}\n{\"undo\":\"fly\"}\n", "no undo that vsl knows"},
	} {
		e := stateRoot(t, "1")
		path := filepath.Join(e.Root(), c.file)
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		var err error
		if c.file == record {
			_, err = e.readRecord("web")
		} else {
			_, _, err = e.recover(t.Context(), "web")
		}
		if d := asDamage(err); d == nil || d.Newer || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), path) || d.Hint == "" {
			t.Errorf("%s with %q: %v; want a Damage that says %s", c.file, c.text, err, c.says)
		}
		if _, err := os.Lstat(filepath.Join(e.Root(), "guests/web")); err != nil {
			t.Errorf("%s with %q: the guest's folder: %v", c.file, c.text, err)
		}
	}
}
