package recipes_test

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vsl/engine"
	"vsl/engine/enginetest"
	"vsl/lua"
	"vsl/recipes"
)

var update = flag.Bool("update", false, "write the golden files anew")

// params are what a recipe needs to be given.
var params = map[string]map[string]string{
	"debian-ssh":  {"key": "ssh-ed25519 AAAA me@example"},
	"guarded-web": {"htpasswd": "file:/srv/htpasswd"},
}

func TestNames(t *testing.T) {
	want := []string{"busybox", "db-and-web", "debian-ssh", "debian-web", "guarded-web", "hello", "sysv"}
	if got := recipes.Names(); !slices.Equal(got, want) {
		t.Errorf("Names() = %v, want %v", got, want)
	}
}

// Each recipe, built, brought up and down in an engine that records.
func TestRecipes(t *testing.T) {
	for _, name := range recipes.Names() {
		t.Run(name, func(t *testing.T) {
			got := run(t, name)
			golden := filepath.Join(name, "calls.golden")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("calls:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

func run(t *testing.T, name string) string {
	src, err := recipes.Read(name)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(src), "--- "+name+": ") || !strings.Contains(string(src), "vsl up "+name) {
		t.Error("the header does not say what the recipe is and how to use it")
	}
	e := enginetest.NewEngine()
	e.Exec = func(_ string, a engine.ExecArgs) (engine.ExecResult, error) {
		return engine.ExecResult{Stdout: []byte("1\n")}, nil
	}
	ctx := context.Background()
	r, err := lua.Load(ctx, name+"/recipe.lua", src, lua.Options{Engine: e, Params: params[name], Stdout: io.Discard, Stderr: io.Discard, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var b strings.Builder
	for _, p := range r.Params {
		fmt.Fprintf(&b, "param %s %s default=%v: %s\n", p.Name, p.Type, p.Default, p.Doc)
		if p.Doc == "" {
			t.Errorf("parameter %s has no doc", p.Name)
		}
	}
	step := func(phase string, f engine.Flow, spec *engine.Spec) {
		if f == nil {
			return
		}
		g, err := e.New(spec)
		if err == nil {
			err = f(ctx, g)
		}
		if err != nil {
			t.Fatalf("%s of %s: %v", phase, spec.Name, err)
		}
		fmt.Fprintf(&b, "# %s of %s\n%s\n", phase, spec.Name, strings.Join(e.Calls(), "\n"))
		e.Reset()
	}
	for _, tm := range r.Templates {
		step("build", r.BuildFlows[tm.Name], &engine.Spec{Name: "build-" + tm.Name, Template: tm})
	}
	for _, d := range r.Guests {
		step("provision", d.Flows.Provision, d.Spec)
		step("boot", d.Flows.Boot, d.Spec)
		fmt.Fprintf(&b, "# ready: %+v\n", d.Spec.Ready)
		step("shutdown", d.Flows.Shutdown, d.Spec)
	}
	return b.String()
}
