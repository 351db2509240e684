// Package docs holds the documentation, so that vsl doc shows it without a checkout.
package docs

import (
	"embed"
	"io/fs"
	"slices"
	"strings"
)

// FS holds the pages.
//
//go:embed *.md guide/*.md
var FS embed.FS

// Page is one page of the documentation.
type Page struct {
	Name  string // its path without .md: "guide/limits"
	Title string // its first line
	Text  string // Markdown
}

// Pages are those there are, sorted by name, except for the list of them.
func Pages() []Page {
	var out []Page
	for _, pattern := range []string{"*.md", "guide/*.md"} {
		files, err := fs.Glob(FS, pattern)
		if err != nil { // only a malformed pattern does that
			continue
		}
		for _, f := range files {
			text, err := FS.ReadFile(f)
			if name := strings.TrimSuffix(f, ".md"); err == nil && name != "README" {
				title, _, _ := strings.Cut(string(text), "\n")
				out = append(out, Page{Name: name, Title: strings.TrimPrefix(title, "# "), Text: string(text)})
			}
		}
	}
	slices.SortFunc(out, func(a, b Page) int { return strings.Compare(a.Name, b.Name) })
	return out
}
