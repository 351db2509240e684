package recipes_test

import (
	"context"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vsl/lua"
	"vsl/lua/test"
	"vsl/recipes"
)

func TestNames(t *testing.T) {
	want := []string{"busybox", "db-and-web", "debian-ssh", "debian-web", "guarded-web", "hello", "sysv"}
	if got := recipes.Names(); !slices.Equal(got, want) {
		t.Errorf("Names() = %v, want %v", got, want)
	}
}

// Each recipe has tests of its own, which pass.
func TestRecipes(t *testing.T) {
	for _, name := range recipes.Names() {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(name, "recipe_test.lua")
			err := test.Run(context.Background(), path, test.Options{Output: io.Discard}, func(r test.Result) {
				if r.Err != nil {
					t.Errorf("%s:%d: %s: %v", r.File, r.Line, r.Name, r.Err)
				}
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// Each says in its header what it is and how it is used, and what its parameters are.
func TestHeaders(t *testing.T) {
	for _, name := range recipes.Names() {
		src, err := recipes.Read(name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(src), "--- "+name+": ") || !strings.Contains(string(src), "vsl up "+name) {
			t.Errorf("%s: the header does not say what the recipe is and how to use it", name)
		}
		r, err := lua.Load(context.Background(), name+"/recipe.lua", src, lua.Options{Optional: true, Stdout: io.Discard, Stderr: io.Discard, Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range r.Params {
			if p.Doc == "" {
				t.Errorf("%s: parameter %s has no doc", name, p.Name)
			}
		}
		r.Close()
	}
}
