package lint

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"vsl/lua/modules"
	"vsl/recipes"
	"vsl/stdlib"
	"vsl/tests/fixture"
)

// TestOurOwn holds the recipes that come with vsl, and its library, to all rules.
func TestOurOwn(t *testing.T) {
	n := 0
	for _, from := range []fs.FS{os.DirFS("../../recipes"), stdlib.FS} {
		err := fs.WalkDir(from, ".", func(path string, d fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".lua") {
				return err
			}
			text, err := fs.ReadFile(from, path)
			for _, f := range Text(path, string(text), Options{}) {
				t.Errorf("%s %s", f, f.Hint)
			}
			n++
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if n < 16 {
		t.Errorf("only %d files were looked at", n)
	}
}

// TestDocumentation finds no error in what the documentation shows. The pages of
// troubles and on editors show mistakes on purpose.
func TestDocumentation(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*/*.md")
	if err != nil || len(pages) < 10 {
		t.Fatal(pages, err)
	}
	n := 0
	pages = slices.DeleteFunc(pages, func(p string) bool { return filepath.Base(p) == "editor.md" })
	for _, page := range append(pages, "../../README.md", "../../docs/from.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for i, block := range strings.Split(string(text), "```lua\n") {
			if i == 0 {
				continue
			}
			block, _, _ = strings.Cut(block, "```")
			name := page
			if strings.Contains(block, "_test.lua\n") {
				name += "_test.lua"
			}
			n++
			for _, f := range Text(name, block, Options{}) {
				if f.Error {
					t.Errorf("%s %s\n%s", f, f.Hint, block)
				}
			}
		}
	}
	if n < 20 {
		t.Errorf("only %d blocks were looked at", n)
	}
}

// TestFindings reads testdata/findings.txt: texts between lines of ---. What is found
// in a line stands behind its "--!", with ";;" between two: column, rule, message,
// and the hint in brackets.
func TestFindings(t *testing.T) {
	data, err := os.ReadFile("testdata/findings.txt")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "common.lua"), []byte("local m = { size = 1 }\nfunction m.twice(n) return 2 * n end\nreturn m\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	find := (&modules.Folders{Own: dir}).Find
	line, seen := 0, map[string]bool{}
	var updated []string
	for _, chunk := range strings.Split(string(data), "---\n") {
		var want, plain []string
		for i, text := range strings.Split(strings.TrimSuffix(chunk, "\n"), "\n") {
			code, marks, marked := strings.Cut(text, " --! ")
			plain = append(plain, code)
			for _, m := range strings.Split(marks, " ;; ") {
				if marked {
					want = append(want, fmt.Sprintf("%d:%s", i+1, m))
				}
			}
		}
		var got []string
		byLine := map[int][]string{}
		for _, f := range Text("x.lua", strings.Join(plain, "\n")+"\n", Options{Find: find}) {
			seen[f.Rule] = true
			mark := fmt.Sprintf("%d %s: %s", f.Col, f.Rule, f.Message)
			if f.Hint != "" {
				mark += " (" + f.Hint + ")"
			}
			got = append(got, fmt.Sprintf("%d:%s", f.Line, mark))
			byLine[f.Line] = append(byLine[f.Line], mark)
			if f.EndLine != f.Line || f.EndCol < f.Col || f.Error != rule()[f.Rule].Error {
				t.Errorf("%+v", f)
			}
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("text after line %d:\n%s\n-- found:\n%s\n-- wanted:\n%s", line, strings.Join(plain, "\n"), strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		for i := range plain {
			if m := byLine[i+1]; m != nil {
				plain[i] += " --! " + strings.Join(m, " ;; ")
			}
		}
		updated = append(updated, strings.Join(plain, "\n")+"\n")
		line += strings.Count(chunk, "\n") + 1
	}
	for _, r := range Rules {
		if !seen[r.Name] {
			t.Errorf("nothing in testdata shows the rule %s", r.Name)
		}
	}
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile("testdata/findings.txt", []byte(strings.Join(updated, "---\n")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func FuzzLint(f *testing.F) {
	data, err := os.ReadFile("testdata/findings.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, chunk := range strings.Split(string(data), "---\n") {
		f.Add(chunk)
	}
	for _, name := range recipes.Names() {
		text, err := recipes.Read(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 8192 {
			return
		}
		start := time.Now()
		Text("fuzz.lua", text, Options{})
		if took := time.Since(start); took > fixture.Patience(3*time.Second) {
			t.Errorf("%s for %d bytes", took, len(text))
		}
	})
}

// TestLarge looks at texts that are large in one way each: none may take long.
func TestLarge(t *testing.T) {
	names := "local t0 = {}\n"
	for i := range 100 {
		names += fmt.Sprintf("local t%d = { t%d, t%d }\n", i+1, i, i)
	}
	for name, text := range map[string]string{
		"brackets": "x = " + strings.Repeat("{", 200000), "calls": "x" + strings.Repeat("()", 200000), "fields": "x = a" + strings.Repeat(".b", 200000),
		"methods": "x" + strings.Repeat(":a()", 100000), "words": strings.Repeat("@)}]end ", 50000), "sum": "x = 1" + strings.Repeat(" + 1", 200000),
		"guests": strings.Repeat("guest \"a\" { run = function(g) g:exec { \"id\" } end }\n", 5000), "names": names + "guest \"a\" { limit = t100 }\n",
		"elseif": "if a then " + strings.Repeat("elseif a then ", 100000) + "end", "locals": strings.Repeat("local a = 1\n", 20000),
		"for":    strings.Repeat("for i = 1, 2 do local a = i ", 100) + strings.Repeat("print(a) end ", 100),
		"while":  "local x = 1 " + strings.Repeat("while x do ", 100) + strings.Repeat("end ", 100),
		"repeat": strings.Repeat("repeat local a = 1 ", 100) + strings.Repeat("a = 2 until a ", 100),
	} {
		start := time.Now()
		Text(name+".lua", text, Options{})
		if took := time.Since(start); took > fixture.Patience(10*time.Second) {
			t.Errorf("%s: %s", name, took)
		}
	}
}
