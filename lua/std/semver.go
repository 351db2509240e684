package std

import (
	lua "github.com/yuin/gopher-lua"
)

func semverMembers() []Member {
	return []Member{
		{Name: "semver", Doc: "reads and compares versions as semver.org 2.0.0 has them: MAJOR.MINOR.PATCH-PRERELEASE+BUILD."},
		{Name: "semver.parse", Sig: "(version: string): { major: integer, minor: integer, patch: integer, prerelease?: string, build?: string }",
			Doc: "takes a version apart. What is none is an error.", fn: parseSemver,
			Example: `std.semver.parse("1.2.3-rc.1") --> { major = 1, minor = 2, patch = 3, prerelease = "rc.1" }`},
		{Name: "semver.compare", Sig: "(a: string, b: string): integer", Doc: "gives -1, 0 or 1 where a is lower, equal or higher. A build does not count.", fn: compareSemver,
			Example: `std.semver.compare("1.10.0", "1.9.0") --> 1`},
		{Name: "semver.satisfies", Sig: "(version: string, range: string): boolean", fn: satisfiesSemver,
			Doc: "says whether a version is in a range. ^1.2.3 is up to the next version that may break (2.0.0, and 0.3.0 for ^0.2.1), ~1.2.3 up to 1.3.0; =, <, <=, > and >= compare; 1.2 and 1.2.x are all versions that begin so, * is all. " +
				"What is written one behind another must all hold, || stands between alternatives. A prerelease is in a range only where that names one of the same MAJOR.MINOR.PATCH.",
			Example: `std.semver.satisfies("1.4.2", "^1.2 || >=3.0.0 <4.0.0") --> true`},
	}
}

// version is argument n.
func (c *call) version(n int) version {
	v, hint, err := parseVersion(c.text(n))
	if err != "" {
		c.bad(n, hint, "%s", err)
	}
	return v
}

func parseSemver(c *call) int {
	v := c.version(1)
	t := c.l.NewTable()
	for i, name := range []string{"major", "minor", "patch"} {
		t.RawSetString(name, lua.LNumber(v.num[i]))
	}
	if v.pre != "" {
		t.RawSetString("prerelease", lua.LString(v.pre))
	}
	if v.build != "" {
		t.RawSetString("build", lua.LString(v.build))
	}
	c.l.Push(t)
	return 1
}

func compareSemver(c *call) int {
	c.l.Push(lua.LNumber(c.version(1).compare(c.version(2))))
	return 1
}

func satisfiesSemver(c *call) int {
	v := c.version(1)
	r, hint, err := parseRange(c.text(2))
	if err != "" {
		c.bad(2, hint, "%s", err)
	}
	c.l.Push(lua.LBool(r.has(v)))
	return 1
}
