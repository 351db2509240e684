package engine

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const (
	someUsers  = "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\nbob:x:1001:1001::/:/bin/sh\ncarl:x:1002:100::/:/bin/sh\n"
	someGroups = "root:x:0:\nann:x:1000:\nbob:x:1001:ann\nusers:x:100:\nboth:x:200:ann,bob\nhers:x:201:ann\n"
)

func TestOwnGroup(t *testing.T) {
	for _, c := range []struct {
		name       string
		gid, owner int
		want       bool
	}{
		{"a group of her own", 1000, 1000, true},
		{"one that only she was put into", 201, 1000, true},
		{"his, which she was put into", 1001, 1001, false},
		{"hers is not his", 1000, 1001, false},
		{"of two", 200, 1000, false},
		{"the first group of another", 100, 1000, false},
		{"his first group, which others may be given", 100, 1002, true},
		{"root's", 0, 0, true},
		{"no such group", 4711, 1000, false},
		{"no such user", 1000, 4711, false},
	} {
		if got := isOwnGroup(someGroups, someUsers, c.gid, c.owner); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func FuzzOwnGroup(f *testing.F) {
	f.Add(someGroups, someUsers, 1000, 1000)
	f.Add("x:x:1:y,,z\n::\n", "y:x:5:1", 1, 5)
	f.Fuzz(func(t *testing.T, groups, users string, gid, owner int) {
		if isOwnGroup(groups, users, gid, owner) && isOwnGroup(groups+"\nlast:x:"+strconv.Itoa(gid)+":nobody-else-is-called-so\n", users, gid, owner) {
			t.Error("a group with a foreign member is the owner's alone")
		}
	})
}

// Others must not be able to write what is trusted.
func TestTrust(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to give files away")
	}
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		uid, gid int
		mode     os.FileMode
		users    []int
		why      string
	}{
		{0, 0, 0o644, nil, ""},
		{0, 0, 0o666, nil, "can be written by others"},
		{0, 4711, 0o660, nil, "can be written by others"},
		{0, 4711, 0o640, nil, ""},
		{4711, 4711, 0o600, nil, "belongs to user 4711"},
		{4711, 4711, 0o600, []int{4711}, ""},
		{4711, 4711, 0o660, []int{4711}, "can be written by others"},
	} {
		if err := errors.Join(os.Chown(path, c.uid, c.gid), os.Chmod(path, c.mode)); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		got := Trust(path, info, c.users...)
		if (got == nil) != (c.why == "") || got != nil && !strings.Contains(got.Error(), c.why) {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
