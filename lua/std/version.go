package std

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

const (
	// maxVersion is how long a version or a range may be.
	maxVersion = 1000
	// maxPart is the largest number in a version that Lua's numbers hold exactly.
	maxPart = 1 << 53
)

// version is one of semver.org 2.0.0.
type version struct {
	num        [3]uint64
	pre, build string
}

// parseVersion gives what is wrong, and what to do about it, as texts: err is "" for
// a version.
func parseVersion(text string) (v version, hint, err string) {
	v, given, hint, err := parsePartial(text)
	if err == "" && given < 3 {
		return v, `it has three numbers, as in "1.2.3"`, fmt.Sprintf("%s is not a version", quoteShort(text))
	}
	return v, hint, err
}

// parsePartial also reads what a range may hold: 1.2, 1.2.x and *. given is how many
// numbers are there.
func parsePartial(text string) (v version, given int, hint, err string) {
	no := func(hint string) (version, int, string, string) {
		return version{}, 0, hint, quoteShort(text) + " is not a version"
	}
	if len(text) > maxVersion {
		return no(fmt.Sprintf("it is longer than %d bytes", maxVersion))
	}
	if text == "" {
		return no(`write "1.2.3"`)
	}
	if text[0] == 'v' || text[0] == 'V' {
		return no("without the " + text[:1])
	}
	rest, build, hasBuild := strings.Cut(text, "+")
	rest, pre, hasPre := strings.Cut(rest, "-")
	if hasBuild && !identifiers(build, false) || hasPre && !identifiers(pre, true) {
		return no("what follows - and + is of letters, digits and -, in parts between dots; numbers do not begin with 0")
	}
	parts := strings.Split(rest, ".")
	if len(parts) > 3 {
		return no(`it has three numbers, as in "1.2.3"`)
	}
	for i, p := range parts {
		if p == "x" || p == "X" || p == "*" {
			for _, q := range parts[i:] {
				if q != p || hasPre || hasBuild {
					return no(`after x there is nothing else, as in "1.x"`)
				}
			}
			return v, i, "", ""
		}
		n, err := strconv.ParseUint(p, 10, 64)
		switch {
		case !digits(p):
			return no(`it has three numbers, as in "1.2.3"`)
		case len(p) > 1 && p[0] == '0':
			return no("numbers do not begin with 0")
		case err != nil || n > maxPart:
			return no("its numbers go up to 2^53")
		}
		v.num[i] = n
	}
	if len(parts) < 3 && (hasPre || hasBuild) {
		return no(`three numbers come first, as in "1.2.3-rc.1"`)
	}
	v.pre, v.build = pre, build
	return v, len(parts), "", ""
}

func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

const identifierChars = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-"

// identifiers says whether a text is what may follow - or +; numbers of the former
// do not begin with 0.
func identifiers(s string, strict bool) bool {
	for _, p := range strings.Split(s, ".") {
		if p == "" || strings.Trim(p, identifierChars) != "" || strict && len(p) > 1 && p[0] == '0' && digits(p) {
			return false
		}
	}
	return true
}

func (v version) compare(o version) int {
	for i := range v.num {
		if c := cmp.Compare(v.num[i], o.num[i]); c != 0 {
			return c
		}
	}
	switch {
	case v.pre == o.pre:
		return 0
	case v.pre == "": // a release is higher than what comes before it
		return 1
	case o.pre == "":
		return -1
	}
	a, b := strings.Split(v.pre, "."), strings.Split(o.pre, ".")
	for i := 0; i < min(len(a), len(b)); i++ {
		if c := compareIdentifiers(a[i], b[i]); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(a), len(b))
}

// compareIdentifiers puts numbers, of any length, before texts.
func compareIdentifiers(a, b string) int {
	switch na, nb := digits(a), digits(b); {
	case na && nb && len(a) != len(b):
		return cmp.Compare(len(a), len(b))
	case na != nb && na:
		return -1
	case na != nb:
		return 1
	}
	return cmp.Compare(a, b)
}

// bound is one comparison that a version must hold.
type bound struct {
	op string // "<", "<=", "=", ">=", ">"
	v  version
}

func (b bound) holds(v version) bool {
	c := v.compare(b.v)
	switch b.op {
	case "<":
		return c < 0
	case "<=":
		return c <= 0
	case ">":
		return c > 0
	case ">=":
		return c >= 0
	}
	return c == 0
}

// alternative are bounds that must all hold; named are the prereleases that were
// written in them.
type alternative struct {
	bounds []bound
	named  []version
}

// versionRange are alternatives.
type versionRange []alternative

func (r versionRange) has(v version) bool {
	for _, a := range r {
		if a.has(v) {
			return true
		}
	}
	return false
}

func (a alternative) has(v version) bool {
	for _, b := range a.bounds {
		if !b.holds(v) {
			return false
		}
	}
	if v.pre == "" {
		return true
	}
	for _, n := range a.named {
		if n.num == v.num {
			return true
		}
	}
	return false
}

// operators, longer ones first.
var operators = []string{">=", "<=", "^", "~", ">", "<", "="}

func parseRange(text string) (r versionRange, hint, err string) {
	if len(text) > maxVersion {
		return nil, "", fmt.Sprintf("the range is longer than %d bytes", maxVersion)
	}
	for _, part := range strings.Split(text, "||") {
		var a alternative
		op := ""
		words := strings.Fields(part)
		for _, word := range words {
			if op == "" {
				for _, o := range operators {
					if rest, ok := strings.CutPrefix(word, o); ok {
						op, word = o, rest
						break
					}
				}
			}
			if word == "" { // a space behind the operator
				continue
			}
			v, given, hint, err := parsePartial(word)
			if err != "" {
				return nil, rangeHint(word, hint), fmt.Sprintf("range %s: %s", quoteShort(text), err)
			}
			if v.pre != "" {
				a.named = append(a.named, v)
			}
			a.bounds = append(a.bounds, boundsOf(op, v, given)...)
			op = ""
		}
		if op != "" || len(words) == 0 {
			return nil, `write ">=1.2.3", "^1.2", or "*" for all`, fmt.Sprintf("range %s lacks a version", quoteShort(text))
		}
		r = append(r, a)
	}
	return r, "", ""
}

func rangeHint(word, otherwise string) string {
	switch {
	case strings.Contains(word, ","):
		return "what must hold together is written with a space between: >=1.2.3 <2.0.0"
	case word == "-":
		return "write >=1.2.3 <=2.0.0"
	case strings.HasPrefix(word, "!"), strings.HasPrefix(word, "=="), strings.HasPrefix(word, "~"):
		return "the operators are ^ ~ = < <= > >="
	}
	return otherwise
}

// boundsOf says what an operator before a version asks for, of which only the first
// given numbers were written.
func boundsOf(op string, v version, given int) []bound {
	least := bound{">=", v}
	// below is what begins otherwise than v in its first n numbers and is higher; its
	// prereleases are that, too.
	below := func(n int) bound {
		up := version{pre: "0"}
		copy(up.num[:n], v.num[:n])
		up.num[n-1]++
		return bound{"<", up}
	}
	nothing := bound{"<", version{pre: "0"}}
	if given == 0 {
		if op == "<" || op == ">" {
			return []bound{nothing}
		}
		return []bound{{">=", version{pre: "0"}}}
	}
	switch op {
	case "^":
		n := 1
		for n < given && v.num[n-1] == 0 {
			n++
		}
		return []bound{least, below(n)}
	case "~":
		return []bound{least, below(min(given, 2))}
	}
	if given == 3 {
		if op == "" {
			op = "="
		}
		return []bound{{op, v}}
	}
	switch op {
	case ">=":
		return []bound{least}
	case "<":
		v.pre = "0"
		return []bound{{"<", v}}
	case "<=":
		return []bound{below(given)}
	case ">":
		up := below(given)
		return []bound{{">=", up.v}}
	}
	return []bound{least, below(given)}
}

// quoteShort quotes what somebody wrote, cut where it is long.
func quoteShort(s string) string {
	if len(s) > 60 {
		return strconv.Quote(s[:60]) + "…"
	}
	return strconv.Quote(s)
}
