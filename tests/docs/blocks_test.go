package docs

import "testing"

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		want   []string
		output string
		ok     bool
	}{
		{nil, "anything", true},
		{[]string{"+  hello  created, up    0.05 s"}, "+  hello  created, up  1.20 s\n", true},
		{[]string{"+  hello  created, up    0.05 s"}, "+  hello  created, failed  1.20 s\n", false},
		{[]string{"a  127.77.0.10"}, "a 127.77.0.10\n", true},
		{[]string{"a  127.77.0.10"}, "a 127.77.0.11\n", false},
		{[]string{"memory  32MiB  572KiB, 1.055MiB at most"}, "memory  32MiB  600KiB, 2.1MiB at most\n", true},
		{[]string{"hello  22375  running"}, "hello  17  running\n", true},
		{[]string{"one", "…", "two"}, "one\nb\nc\ntwo\n", true},
		{[]string{"one", "…", "two"}, "one\ntwo\n", true},
		{[]string{"one", "…", "two"}, "one\nb\n", false},
		{[]string{"one"}, "one\nmore\n", false},
	} {
		if got := (command{want: c.want}).matches(c.output); got != c.ok {
			t.Errorf("%q with %q: %v, want %v", c.want, c.output, got, c.ok)
		}
	}
}

func TestBlocks(t *testing.T) {
	list, err := blocks("text\n```lua\n-- a.lua\nx = 1\n```\n```console\n$ echo a \\\n    b\na b\n$ false\nvsl: no\n```\n")
	if err != nil || len(list) != 2 {
		t.Fatal(list, err)
	}
	if name, ok := list[0].fileOf(); !ok || name != "a.lua" {
		t.Error(name, ok)
	}
	cmds, err := list[1].commands()
	if err != nil || len(cmds) != 2 || cmds[0].shell != "echo a \\\n    b" || cmds[0].mayFail() || !cmds[1].mayFail() {
		t.Errorf("%+v, %v", cmds, err)
	}
	for _, bad := range []string{"```lua\nx", "```lua\n```lua\n```\n"} {
		if _, err := blocks(bad); err == nil {
			t.Errorf("%q has no error", bad)
		}
	}
}
