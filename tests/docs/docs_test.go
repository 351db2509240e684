package docs

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vsl/tests/fixture"
)

// TestPages runs every page. They share a state root, so that a template is built
// once; each begins with no guest and in an empty folder.
func TestPages(t *testing.T) {
	if os.Getenv("VSL_TEST_ROOT") != "1" || os.Geteuid() != 0 {
		if os.Getenv("VSL_TEST_REQUIRE") != "" {
			t.Fatal("needs root and VSL_TEST_ROOT=1: make test-guest sets it")
		}
		t.Skip("needs root and VSL_TEST_ROOT=1")
	}
	r := newRunner(t)
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	guides, err := filepath.Glob("../../docs/guide/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range append(append([]string{"../../README.md"}, pages...), guides...) {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".md"), func(t *testing.T) { r.page(t, path) })
	}
}

// runner runs pages with the vsl under test first in PATH.
type runner struct {
	env []string
}

func newRunner(t *testing.T) *runner {
	bin := os.Getenv("VSL_BIN")
	if bin == "" {
		t.Fatal("VSL_BIN names the vsl to test: make test-guest sets it")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "bin")
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(bin, filepath.Join(path, "vsl")); err != nil {
		t.Fatal(err)
	}
	// What users type as somebody else, the test types as root.
	sudo := "#!/bin/sh\nexec \"$@\"\n"
	if err := os.WriteFile(filepath.Join(path, "sudo"), []byte(sudo), 0o755); err != nil {
		t.Fatal(err)
	}
	// Nor does a terminal's curl show how fast it is.
	if err := os.WriteFile(filepath.Join(dir, ".curlrc"), []byte("silent\nshow-error\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	r := &runner{env: append(os.Environ(),
		"PATH="+path+":"+os.Getenv("PATH"), "VSL_ROOT="+filepath.Join(dir, "root"),
		"HOME="+dir, "XDG_STATE_HOME="+dir, "XDG_CONFIG_HOME="+dir, "LC_ALL=C.UTF-8", "TERM=dumb", "COLUMNS=100")}
	t.Cleanup(func() {
		r.sh(t, dir, "vsl rm -f --all; vsl template rm --all 2>/dev/null; true")
		if out, err := r.sh(t, dir, "vsl gc"); err != nil {
			t.Errorf("vsl gc: %v\n%s", err, out)
		}
	})
	return r
}

// sh runs a command line as at a shell, with what it prints in order.
func (r *runner) sh(t *testing.T, dir, line string) (string, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), fixture.Patience(3*time.Minute))
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", line)
	cmd.Dir, cmd.Env = dir, r.env
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (r *runner) page(t *testing.T, path string) {
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	list, err := blocks(string(text))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	dir := t.TempDir()
	defer func() {
		if out, err := r.sh(t, dir, "vsl rm -f --all"); err != nil {
			t.Errorf("take down what the page left: %v\n%s", err, out)
		}
	}()
	var edits []edit
	for _, b := range list {
		if err := r.block(t, dir, b, &edits); err != nil {
			t.Fatalf("%s:%v", strings.TrimPrefix(path, "../../"), err)
		}
	}
	if len(edits) > 0 {
		if err := os.WriteFile(path, []byte(apply(string(text), edits)), 0o644); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: wrote what %d commands print", path, len(edits))
	}
}

func (r *runner) block(t *testing.T, dir string, b block, edits *[]edit) error {
	if name, ok := b.fileOf(); ok {
		if !filepath.IsLocal(name) {
			return fmt.Errorf("%d: %s is outside the page's folder", b.line, name)
		}
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, name), []byte(b.text), 0o644)
	}
	switch b.lang {
	case "text":
		return nil
	case "lua":
		name := fmt.Sprintf("line-%d.lua", b.line)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(b.text), 0o644); err != nil {
			return err
		}
		if out, err := r.sh(t, dir, "vsl check ./"+name); err != nil {
			return fmt.Errorf("%d: %w\n%s", b.line, err, out)
		}
		return nil
	case "console":
		return r.console(t, dir, b, edits)
	}
	return fmt.Errorf("%d: nobody knows how to run %q: lua, console, or text", b.line, b.lang)
}

// console types a block's commands. With UPDATE set, output other than the page's is
// noted, to be written there; UPDATE=all shows output where the page has none, too.
func (r *runner) console(t *testing.T, dir string, b block, edits *[]edit) error {
	commands, err := b.commands()
	if err != nil {
		return err
	}
	for _, c := range commands {
		out, err := r.sh(t, dir, c.shell)
		if os.Getenv("UPDATE") != "" {
			if out = progress.ReplaceAllString(out, ""); !c.matches(out) || len(c.want) == 0 && out != "" && os.Getenv("UPDATE") == "all" {
				*edits = append(*edits, edit{from: c.line + strings.Count(c.shell, "\n"), drop: len(c.want), text: out})
			}
			continue
		}
		if err != nil && !c.mayFail() {
			return fmt.Errorf("%d: %s: %v, and the page shows no error\n%s", c.line, c.shell, err, out)
		}
		if !c.matches(out) {
			return fmt.Errorf("%d: %s\n-- the page shows:\n%s\n-- it prints:\n%s", c.line, c.shell, strings.Join(c.want, "\n"), out)
		}
	}
	return nil
}
