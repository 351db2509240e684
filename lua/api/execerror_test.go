package api

import "testing"

func TestExecError(t *testing.T) {
	sh := func(script string) []string { return []string{"/bin/sh", "-c", script} }
	for _, c := range []struct {
		argv   []string
		stderr string
		want   string
	}{
		{[]string{"nginx", "-t"}, "bad config\n", "web: nginx -t: exit status 3: bad config"},
		{[]string{"true"}, "", "web: true: exit status 3"},
		{sh("\n    cp /srv/theme.css /srv/posts/\n  "), "cp: no\n", "web: sh: cp /srv/theme.css /srv/posts/: exit status 3: cp: no"},
		{sh("a\n\n\tb  c\n"), "", "web: sh: a; b c: exit status 3"},
		{sh("printf '%s' " + "0123456789012345678901234567890123456789012345678901234567890123456789"), "",
			"web: sh: printf '%s' 0123456789012345678901234567890123456789012345678901234…: exit status 3"},
		{[]string{"apt-get", "update"}, "one\ntwo\nlast\n", "web: apt-get update: exit status 3: last\n  it said before:\n    one\n    two"},
	} {
		e := &ExecError{Guest: "web", Argv: c.argv, Code: 3, Stderr: tail([]byte(c.stderr), nil)}
		if got := e.Error(); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}
