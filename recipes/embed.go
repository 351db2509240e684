// Package recipes holds the recipes that come with vsl, so that `vsl up hello`
// works without a checkout.
package recipes

import (
	"embed"
	"io/fs"
	"path"
)

// FS holds <name>/recipe.lua.
//
//go:embed */recipe.lua
var FS embed.FS

// Names lists the recipes, sorted.
func Names() []string {
	files, err := fs.Glob(FS, "*/recipe.lua")
	if err != nil { // only a malformed pattern does that
		return nil
	}
	names := make([]string, len(files))
	for i, f := range files {
		names[i] = path.Dir(f)
	}
	return names
}

// Read gives a recipe's text; the error is fs.ErrNotExist where there is none.
func Read(name string) ([]byte, error) { return fs.ReadFile(FS, path.Join(name, "recipe.lua")) }
