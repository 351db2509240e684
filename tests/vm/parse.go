package vm

import (
	"strconv"
	"strings"
)

// Test is how one top-level test inside the machine ended. Its subtests are
// part of its output.
type Test struct {
	Name   string
	Status string // PASS, FAIL, SKIP, or "" when it never ended
	Output string
}

// Package is what one test binary did inside the machine.
type Package struct {
	Name  string
	Tests []Test
	Code  int    // exit status of the binary, -1 when it never ended
	Rest  string // what was printed outside any test
}

// parser reads the terminal of a machine that runs test binaries with
// -test.v=test2json between the markers "@vm begin NAME" and "@vm end NAME CODE".
// Only lines that begin with lineStart are believed to be markers, so a test
// may print what it likes.
type parser struct {
	done func(Package)
	next func() // the machine asks what to do

	line    []byte
	marked  bool
	pkg     *Package
	index   map[string]int // test name to its place in pkg.Tests
	current string         // top-level test whose output comes now
}

func (p *parser) Write(data []byte) (int, error) {
	for _, b := range data {
		switch b {
		case lineStart:
			if len(p.line) > 0 {
				p.take()
			}
			p.marked = true
		case '\n':
			p.take()
		default:
			p.line = append(p.line, b)
		}
	}
	return len(data), nil
}

// Close hands over a package that the machine did not get to the end of.
func (p *parser) Close() {
	if len(p.line) > 0 {
		p.take()
	}
	if p.pkg != nil {
		p.done(*p.pkg)
		p.pkg = nil
	}
}

func (p *parser) take() {
	line, marked := strings.TrimSuffix(string(p.line), "\r"), p.marked
	p.line, p.marked = p.line[:0], false
	if marked && p.machine(line) {
		return
	}
	if p.pkg == nil {
		return
	}
	if marked {
		p.testing(line)
	}
	if at, ok := p.index[p.current]; ok {
		p.pkg.Tests[at].Output += line + "\n"
	} else {
		p.pkg.Rest += line + "\n"
	}
	if marked && strings.HasPrefix(line, "--- ") && !strings.Contains(testName(line), "/") {
		p.current = ""
	}
}

// machine understands the harness's own markers.
func (p *parser) machine(line string) bool {
	f := strings.Fields(line)
	if len(f) == 2 && f[0] == "@vm" && f[1] == "next" && p.next != nil {
		p.Close()
		p.next()
		return true
	}
	if len(f) < 3 || f[0] != "@vm" {
		return false
	}
	switch f[1] {
	case "begin":
		p.Close()
		p.pkg = &Package{Name: f[2], Code: -1}
		p.index, p.current = map[string]int{}, ""
	case "end":
		if p.pkg != nil && len(f) == 4 {
			if code, err := strconv.Atoi(f[3]); err == nil {
				p.pkg.Code = code
			}
			p.Close()
		}
	}
	return true
}

// testing understands the markers of package testing.
func (p *parser) testing(line string) {
	line = strings.TrimSpace(line)
	name := testName(line)
	if name == "" {
		return
	}
	top, _, sub := strings.Cut(name, "/")
	switch {
	case strings.HasPrefix(line, "=== "):
		if _, seen := p.index[top]; !seen {
			p.index[top] = len(p.pkg.Tests)
			p.pkg.Tests = append(p.pkg.Tests, Test{Name: top})
		}
		p.current = top
	case strings.HasPrefix(line, "--- "):
		p.current = top
		if at, seen := p.index[top]; seen && !sub {
			p.pkg.Tests[at].Status = strings.TrimSuffix(strings.Fields(line)[1], ":")
		}
	}
}

// testName is the test that "=== RUN TestX" or "--- PASS: TestX (0.1s)" is
// about, or "".
func testName(line string) string {
	f := strings.Fields(line)
	if len(f) < 3 || f[0] != "===" && f[0] != "---" {
		return ""
	}
	return f[2]
}
