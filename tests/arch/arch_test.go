package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"vsl/tests/fixture"
)

// Bounds on size: what does not fit is two things.
const (
	maxFileLines = 400
	maxFuncLines = 60
)

// leaf is what the packages that act on the kernel may import of vsl.
var leaf = []string{"engine/internal/sys", "engine/kernel"}

// layers says which packages of vsl each layer may import besides itself and
// what lies below its own folder. The first entry whose pattern matches a
// package's folder decides. Test files are held to it only where the second
// table says so: they may well import fixtures.
var layers = []struct {
	folder string // path.Match-like: a trailing /... covers everything below
	may    []string
	why    string
}{
	{"engine/internal/sys", nil, "it is the one door to the kernel and holds no policy"},
	{"engine/kernel/...", []string{"engine/internal/sys"}, "it only answers what this kernel offers"},
	{"engine/cgroup/...", leaf, "leaves never import each other"},
	{"engine/rootfs/...", leaf, "leaves never import each other"},
	{"engine/ipbind/...", leaf, "leaves never import each other"},
	{"engine/netdev/...", leaf, "leaves never import each other"},
	{"engine/spawn/...", leaf, "leaves never import each other"},
	{"engine/store/...", leaf, "leaves never import each other"},
	{"engine/enginetest", []string{"engine", "engine/cgroup"}, "it is a recording stand-in for the engine"},
	{"engine", []string{"engine/..."}, "the engine never imports Lua or the command line"},
	{"stdlib/...", []string{"stdlib/..."}, "the standard library is Lua, embedded"},
	{"recipes/...", []string{"recipes/..."}, "recipes are Lua, embedded"},
	{"docs", nil, "the documentation is text, embedded"},
	{"lua/test", []string{"lua/...", "engine", "engine/enginetest", "stdlib/..."}, "tests of recipes run against the engine in memory"},
	{"lua/...", []string{"lua/...", "engine", "engine/cgroup", "stdlib/...", "recipes/..."},
		"Lua sees the engine and nothing beneath it (cgroup only for the type that engine.Limits embeds)"},
	{"cmd/...", []string{"cmd/...", "lua/...", "engine", "engine/cgroup", "stdlib/...", "recipes/...", "docs"},
		"the command line sees the engine and Lua"},
	{"tests/...", []string{"..."}, "tests may use everything"},
}

// doors names the only places that may import a package from outside.
var doors = []struct {
	imports string
	only    []string
	why     string
}{
	{"syscall", []string{"engine/internal/sys", "tests/..."}, "system calls are made in engine/internal/sys"},
	{"golang.org/x/sys/unix", []string{"engine/internal/sys", "tests/..."}, "system calls are made in engine/internal/sys"},
	{"github.com/vishvananda/netlink", []string{"engine/netdev"}, "netdev is the only package that speaks netlink"},
	{"github.com/cilium/ebpf/...", []string{"engine/ipbind/...", "engine/kernel"}, "BPF lives in ipbind"},
	{"github.com/rs/zerolog/...", []string{"cmd/...", "lua/...", "engine"}, "leaves return errors and do not log; the logger is handed in by cmd"},
	{"github.com/yuin/gopher-lua/...", []string{"lua/..."}, "only lua/ knows which interpreter runs"},
	{"github.com/spf13/cobra", []string{"cmd/..."}, "flags are the command line's"},
	{"net/http", []string{"tests/..."}, "it costs every command's start; probes speak the few lines of HTTP they need"},
	{"C", nil, "the binary is static and made without cgo"},
	{"testing", []string{"engine/enginetest", "tests/..."}, "the binary carries no test code"},
}

type source struct {
	folder string // relative to the checkout, with slashes
	name   string
	test   bool
	file   *ast.File
	fset   *token.FileSet
	lines  int
}

// sources parses every Go file of the checkout once.
func sources(t *testing.T) []source {
	t.Helper()
	top, err := fixture.RepoRoot()
	if err != nil {
		t.Fatal(err)
	}
	var all []source
	for _, dir := range []string{"cmd", "docs", "engine", "lua", "recipes", "stdlib", "tests"} {
		err := filepath.WalkDir(filepath.Join(top, dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() && d.Name() == "testdata" {
				return fs.SkipDir
			}
			if d.IsDir() || !strings.HasSuffix(path, ".go") {
				return nil
			}
			s, err := parse(top, path)
			all = append(all, s)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func parse(top, path string) (source, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return source{}, err
	}
	rel, err := filepath.Rel(top, path)
	if err != nil {
		return source{}, err
	}
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, rel, text, parser.ParseComments)
	return source{
		folder: filepath.ToSlash(filepath.Dir(rel)), name: filepath.Base(rel),
		test: strings.HasSuffix(rel, "_test.go"), file: file, fset: fset,
		lines: strings.Count(string(text), "\n"),
	}, err
}

func (s source) String() string { return s.folder + "/" + s.name }

func (s source) imports() []string {
	var all []string
	for _, spec := range s.file.Imports {
		path, _ := strconv.Unquote(spec.Path.Value)
		all = append(all, path)
	}
	return all
}

// covers matches a folder or import path against "a/b", "a/..." or "...".
func covers(pattern, path string) bool {
	if pattern == "..." {
		return true
	}
	base, below := strings.CutSuffix(pattern, "/...")
	return path == base || below && strings.HasPrefix(path, base+"/")
}

func anyCovers(patterns []string, path string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return covers(p, path) })
}

// forbidden says why folder may not import path, or "".
func forbidden(folder, path string) string {
	if inner, ours := strings.CutPrefix(path, "vsl/"); ours {
		for _, l := range layers {
			if !covers(l.folder, folder) {
				continue
			}
			if anyCovers(l.may, inner) || strings.HasPrefix(inner, strings.TrimSuffix(l.folder, "/...")+"/") {
				return ""
			}
			if inner == strings.TrimSuffix(l.folder, "/...") {
				return ""
			}
			return l.why
		}
		return "the folder belongs to no layer: add it to tests/arch"
	}
	for _, d := range doors {
		if covers(d.imports, path) && !anyCovers(d.only, folder) {
			return d.why
		}
	}
	return ""
}

func TestImports(t *testing.T) {
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		for _, path := range s.imports() {
			if why := forbidden(s.folder, path); why != "" {
				t.Errorf("%s imports %s: %s", s, path, why)
			}
		}
	}
}

// TestRules proves that the tables above refuse what they are for.
func TestRules(t *testing.T) {
	for _, c := range []struct {
		folder, path string
		ok           bool
	}{
		{"engine/cgroup", "vsl/engine/internal/sys", true},
		{"engine/cgroup", "vsl/engine/kernel", true},
		{"engine/cgroup", "vsl/engine/rootfs", false},
		{"engine/kernel", "vsl/engine/cgroup", false},
		{"engine/spawn", "vsl/engine", false},
		{"engine/spawn/reaper", "vsl/engine/internal/sys", true},
		{"engine", "vsl/engine/rootfs", true},
		{"engine", "vsl/lua/bind", false},
		{"lua/api", "vsl/engine/rootfs", false},
		{"lua/api", "vsl/lua/bind", true},
		{"cmd/vsl", "vsl/engine", true},
		{"cmd/vsl", "vsl/engine/store", false},
		{"cmd/vsl", "syscall", false},
		{"engine/internal/sys", "syscall", true},
		{"engine/spawn", "github.com/rs/zerolog", false},
		{"engine", "net/http", false},
		{"other", "vsl/engine", false},
	} {
		if got := forbidden(c.folder, c.path) == ""; got != c.ok {
			t.Errorf("%s importing %s: allowed is %v, want %v", c.folder, c.path, got, c.ok)
		}
	}
}

func TestSizes(t *testing.T) {
	for _, s := range sources(t) {
		if ast.IsGenerated(s.file) {
			continue
		}
		if s.lines > maxFileLines {
			t.Errorf("%s has %d lines, more than %d", s, s.lines, maxFileLines)
		}
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Body == nil || s.test { // a test may be one long table
				continue
			}
			lines := s.fset.Position(f.End()).Line - s.fset.Position(f.Pos()).Line + 1
			if lines > maxFuncLines {
				t.Errorf("%s: %s has %d lines, more than %d", s, f.Name.Name, lines, maxFuncLines)
			}
		}
	}
}

// TestPackageComments wants one sentence on what each package is for.
func TestPackageComments(t *testing.T) {
	documented := map[string]bool{}
	for _, s := range sources(t) {
		if !s.test && !ast.IsGenerated(s.file) {
			documented[s.folder] = documented[s.folder] || s.file.Doc != nil
		}
	}
	for folder, has := range documented {
		if !has {
			t.Errorf("%s: no file has a package comment", folder)
		}
	}
}

// TestNothingUnfinished refuses notes that something is still to be done.
func TestNothingUnfinished(t *testing.T) {
	mark := regexp.MustCompile(`\b(` + strings.Join([]string{"TO" + "DO", "FIX" + "ME", "XX" + "X"}, "|") + `)\b`)
	for _, s := range sources(t) {
		for _, group := range s.file.Comments {
			if found := mark.FindString(group.Text()); found != "" {
				t.Errorf("%s: %s in a comment: finish it or leave it out", s.fset.Position(group.Pos()), found)
			}
		}
	}
}

// TestLinterSaysTheSame wants every door in .golangci.yml too.
func TestLinterSaysTheSame(t *testing.T) {
	top, err := fixture.RepoRoot()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(top, ".golangci.yml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range doors {
		want := fmt.Sprintf("pkg: %s", strings.TrimSuffix(d.imports, "/..."))
		if d.imports != "testing" && !strings.Contains(string(text), want) {
			t.Errorf(".golangci.yml has no %q", want)
		}
	}
}
