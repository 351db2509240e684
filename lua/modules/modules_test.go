package modules

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vsl/engine"
)

// tree makes files below a folder of its own: "path" is a file, "path/" a folder,
// "path -> target" a link.
func tree(t *testing.T, entries ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, e := range entries {
		name, target, link := strings.Cut(e, " -> ")
		at := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(at), 0o755)
		switch {
		case err != nil:
		case link:
			err = os.Symlink(target, at)
		case strings.HasSuffix(name, "/"):
			err = os.MkdirAll(at, 0o755)
		default:
			err = os.WriteFile(at, []byte("return "+name), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFind(t *testing.T) {
	outside := tree(t, "stolen.lua")
	own := tree(t, "a.lua", "both.lua", "sub/b.lua", "p/init.lua", "inner.lua -> a.lua", "outer.lua -> "+filepath.Join(outside, "stolen.lua"), "up.lua -> ../../x", "folder.lua/")
	user := tree(t, "u.lua", "both.lua", "sub/c.lua", "q/init.lua", "inner.lua -> u.lua", "outer.lua -> "+filepath.Join(outside, "stolen.lua"), "linked -> sub")
	f := &Folders{Own: own, User: user}
	for name, want := range map[string]string{
		"a": own + "/a.lua", "both": own + "/both.lua", "sub.b": own + "/sub/b.lua", "p": own + "/p/init.lua", "p.init": own + "/p/init.lua",
		"u": user + "/u.lua", "sub.c": user + "/sub/c.lua", "q": user + "/q/init.lua", "inner": own + "/inner.lua",
	} {
		m, err := f.Find(name)
		if err != nil || m.Path != want || filepath.Join(want[:len(want)-len(m.Rel)], m.Rel) != want || !strings.HasPrefix(string(m.Text), "return ") {
			t.Errorf("%s: %+v, %v, want %s", name, m, err, want)
		}
	}
	for name, want := range map[string]string{
		"none":   `no module "none": there is no none.lua beside the recipe, and none in ` + user,
		"sub.x":  `no module "sub.x": there is no sub/x.lua beside the recipe, and none in ` + user,
		"outer":  `path escapes from parent`,
		"up":     `path escapes from parent`,
		"folder": own + `/folder.lua is no plain file`,
	} {
		if m, err := f.Find(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v, want %s", name, m, err, want)
		}
	}
	f.Own = t.TempDir()
	for _, name := range []string{"inner", "outer", "linked.c"} { // no link at all in the user's
		if m, err := f.Find(name); err == nil || !strings.Contains(err.Error(), "is a symbolic link, and none is followed there") {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
}

// A module that somebody else could have written is refused, with what to do.
func TestUntrusted(t *testing.T) {
	for _, c := range []struct{ path, name, want string }{
		{"m.lua", "m", "m.lua can be written by others than its owner (mode 0666)"},
		{"sub/m.lua", "sub.m", "sub/m.lua can be written"},
		{"sub", "sub.m", "sub can be written by others than its owner (mode 0777)"},
		{".", "m", " can be written"},
		{".", "sub.m", " can be written"},
	} {
		user := tree(t, "m.lua", "sub/m.lua")
		mode := os.FileMode(0o666)
		if !strings.HasSuffix(c.path, ".lua") {
			mode = 0o777
		}
		at := filepath.Join(user, c.path)
		if err := os.Chmod(at, mode); err != nil {
			t.Fatal(err)
		}
		f := &Folders{User: user}
		m, err := f.Find(c.name)
		if err == nil || !strings.HasPrefix(err.Error(), `module "`+c.name+`": `) || !strings.Contains(err.Error(), c.want) || !strings.HasSuffix(err.Error(), "(chmod go-w "+at+")") {
			t.Errorf("%s with a free hand on %s: %+v, %v", c.name, c.path, m, err)
		}
		if os.Geteuid() != 0 {
			continue
		}
		if err := os.Chmod(at, mode&^0o022); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Find(c.name); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if err := os.Chown(at, 1000, 1000); err != nil {
			t.Fatal(err)
		}
		if m, err := f.Find(c.name); err == nil || !strings.Contains(err.Error(), "belongs to user 1000, who could have user 0 run anything by it (chown 0 "+at) {
			t.Errorf("%s with another's %s: %+v, %v", c.name, c.path, m, err)
		}
	}
}

// A user's folder that is not there is looked for once.
func TestAbsent(t *testing.T) {
	user := filepath.Join(t.TempDir(), "vsl", "lua")
	f := &Folders{User: user}
	for range 2 {
		if _, err := f.Find("m"); err == nil || !strings.Contains(err.Error(), "and none in "+user) {
			t.Error(err)
		}
		if err := os.MkdirAll(user, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(user, "m.lua"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := (&Folders{User: user}).Find("m"); err != nil {
		t.Error(err)
	}
	for _, f := range []*Folders{{}, {Own: filepath.Join(user, "gone")}} {
		if _, err := f.Find("m"); err == nil || err.Error() != `no module "m": there is no m.lua beside the recipe` {
			t.Error(err)
		}
	}
}

func TestSize(t *testing.T) {
	dir := tree(t, "big.lua")
	if err := os.Truncate(filepath.Join(dir, "big.lua"), MaxSize+1); err != nil {
		t.Fatal(err)
	}
	if _, err := (&Folders{Own: dir}).Find("big"); err == nil || !strings.Contains(err.Error(), "larger than 1 MB") {
		t.Error(err)
	}
	if info, err := os.Stat(dir); err != nil {
		t.Error(err)
	} else if uid, ok := engine.OwnerOf(info); !ok || uid != os.Geteuid() {
		t.Errorf("%s belongs to %d, %v", dir, uid, ok)
	}
}

func TestUserFolder(t *testing.T) {
	for _, c := range []struct{ xdg, home, want string }{
		{"/c", "/h", "/c/vsl/lua"},
		{"", "/h", "/h/.config/vsl/lua"},
		{"relative", "/h", "/h/.config/vsl/lua"},
		{"", "", ""},
		{"", "relative", ""},
	} {
		t.Setenv("XDG_CONFIG_HOME", c.xdg)
		t.Setenv("HOME", c.home)
		if got := UserFolder(); got != c.want {
			t.Errorf("XDG_CONFIG_HOME=%s HOME=%s: %q, want %q", c.xdg, c.home, got, c.want)
		}
	}
}
