package std

import (
	"strings"
	"testing"
)

// The order that semver.org 2.0.0 gives, chapter 11.
func TestOrder(t *testing.T) {
	list := strings.Fields("0.9.9 1.0.0-0 1.0.0-2 1.0.0-11 1.0.0-99999999999999999999999 1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta 1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1 1.0.0 1.0.1 1.2.0 1.10.0 2.0.0")
	for i, a := range list {
		for j, b := range list {
			x, _, err := parseVersion(a)
			y, _, err2 := parseVersion(b + "+build.01")
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if err+err2 != "" || x.compare(y) != want {
				t.Errorf("%s against %s: %d, want %d %s%s", a, b, x.compare(y), want, err, err2)
			}
		}
	}
}

func TestNoVersions(t *testing.T) {
	for _, text := range strings.Split("|1|1.2|1.2.3.4|01.2.3|1.02.3|1.2.3-|1.2.3-a..b|1.2.3-01|1.2.3+|1.2.3+a+b|v1.2.3|1.2.x|a.b.c|1.2.-3| 1.2.3|1.2.3 |1.2.3-é|9007199254740993.0.0|-1.0.0|+1.0.0", "|") {
		if _, _, err := parseVersion(text); err == "" {
			t.Errorf("%q is taken for a version", text)
		}
	}
	for _, text := range strings.Split("1.0.0-x-y-z.--|1.2.3----R-S.12.9.1--.12+meta|1.0.0+0.build.1-rc.10000aaa-kk-0.1|1.0.0-0A.is.legal|9007199254740992.0.0|1.2.3-a+001", "|") {
		if _, hint, err := parseVersion(text); err != "" {
			t.Errorf("%s: %s (%s)", text, err, hint)
		}
	}
}

func TestSatisfies(t *testing.T) {
	for r, c := range map[string]struct{ in, out string }{
		"^1.2.3":            {"1.2.3 1.9.0 1.2.4", "1.2.2 2.0.0 2.0.0-rc.1 1.3.0-rc.1 1.2.3-rc.1"},
		"^0.2.3":            {"0.2.3 0.2.9", "0.3.0 0.2.2 1.0.0"},
		"^0.0.3":            {"0.0.3", "0.0.4 0.0.2"},
		"^1":                {"1.0.0 1.9.9", "2.0.0 0.9.9"},
		"^0":                {"0.0.0 0.9.9", "1.0.0"},
		"^0.0":              {"0.0.0 0.0.9", "0.1.0"},
		"^1.2.3-rc.2":       {"1.2.3-rc.2 1.2.3-rc.10 1.2.3 1.3.0", "1.2.3-rc.1 1.2.4-rc.3 2.0.0-a"},
		"~1.2.3":            {"1.2.3 1.2.9", "1.3.0 1.2.2"},
		"~1.2":              {"1.2.0 1.2.9", "1.3.0"},
		"~1":                {"1.0.0 1.9.0", "2.0.0"},
		">=1.2.3 <2.0.0":    {"1.2.3 1.9.9", "2.0.0 1.2.2 2.0.0-rc.1"},
		">= 1.2.3 < 2":      {"1.2.3 1.9.9", "2.0.0 1.2.2"},
		">1.2":              {"1.3.0 2.0.0", "1.2.9 1.2.0"},
		"<=1.2":             {"1.2.9 0.1.0", "1.3.0"},
		"<1.2":              {"1.1.9", "1.2.0"},
		"=1.2.3":            {"1.2.3 1.2.3+b", "1.2.4"},
		"1.2.3":             {"1.2.3", "1.2.4 1.2.3-a"},
		"1.2":               {"1.2.0 1.2.7", "1.3.0"},
		"1.x":               {"1.0.0 1.7.0", "2.0.0"},
		"*":                 {"0.0.0 9.9.9", "1.0.0-a"},
		">*":                {"", "1.0.0"},
		"<1.0.0 || ^2.0.0":  {"0.5.0 2.3.4", "1.0.0 3.0.0"},
		">1.0.0-a <1.0.0-c": {"1.0.0-b", "1.0.0 1.0.0-c 1.0.1-b"},
	} {
		set, hint, err := parseRange(r)
		if err != "" {
			t.Errorf("%s: %s (%s)", r, err, hint)
		}
		for want, texts := range map[bool]string{true: c.in, false: c.out} {
			for _, text := range strings.Fields(texts) {
				v, _, err := parseVersion(text)
				if err != "" || set.has(v) != want {
					t.Errorf("%s in %s: %v %s", text, r, !want, err)
				}
			}
		}
	}
}

// FuzzSemver: whatever the texts are, nothing panics, and what is a version is
// written again as it was, equals itself, and is in its own ranges.
func FuzzSemver(f *testing.F) {
	f.Add("1.2.3-rc.1+b", "^1.2 || >=3.0.0-a <4")
	f.Add("1.x", "1.*")
	f.Fuzz(func(t *testing.T, a, b string) {
		set, _, rangeErr := parseRange(b)
		v, _, err := parseVersion(a)
		if err != "" {
			return
		}
		if rangeErr == "" {
			set.has(v)
		}
		for _, op := range []string{"", "=", "^", "~", ">=", "<="} {
			own, _, err := parseRange(op + a)
			if err != "" || !own.has(v) {
				t.Errorf("%s is not in %s%s: %s", a, op, a, err)
			}
		}
		w, _, err := parseVersion(b)
		if err == "" && (v.compare(w) != -w.compare(v) || v.compare(v) != 0) {
			t.Errorf("%s against %s: %d and %d", a, b, v.compare(w), w.compare(v))
		}
		if strings.Count(strings.SplitN(a, "-", 2)[0], ".") < 2 {
			t.Errorf("%q is taken for a version", a)
		}
	})
}
