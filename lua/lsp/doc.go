package lsp

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"vsl/lua/language"
	"vsl/lua/modules"
	"vsl/lua/syntax"
)

// doc is a text that the editor has open.
type doc struct {
	uri     string
	path    string // "" where it is no file
	text    string
	version int
	a       *language.Analysis // of the text as it is; nil until somebody asks
	cancel  context.CancelFunc // of the look at it that is under way
}

func newDoc(d document) *doc {
	return &doc{uri: d.URI, path: pathOf(d.URI), text: d.Text, version: d.Version, cancel: func() {}}
}

// stop ends the look at it that is under way.
func (d *doc) stop() { d.cancel() }

// forget drops what was read of other files.
func (d *doc) forget() { d.a = nil }

func (d *doc) analysis() *language.Analysis {
	if d.a == nil {
		d.a = language.Analyse(language.For(d.path), d.parse(), d.find())
	}
	return d.a
}

// parse parses the text; one that no verb reads has that mistake and nothing else.
func (d *doc) parse() *syntax.File {
	if len(d.text) <= modules.MaxSize {
		return syntax.Parse(d.text)
	}
	f := syntax.Parse("")
	f.Errors = append(f.Errors, syntax.Error{Msg: fmt.Sprintf("the text is larger than %d MB", modules.MaxSize>>20)})
	return f
}

// change replaces a part of the text, or with a nil range all of it.
func (d *doc) change(r *textRange, text string) {
	if r == nil {
		d.text = text
	} else {
		lines := syntax.NewLines(d.text)
		from := lines.FromUTF16(r.Start.Line, r.Start.Character)
		to := max(from, lines.FromUTF16(r.End.Line, r.End.Character))
		d.text = d.text[:from] + text + d.text[to:]
	}
	d.a = nil
}

// name is the file's name as lint shows it.
func (d *doc) name() string {
	if d.path == "" {
		return "recipe.lua"
	}
	return d.path
}

// find gives modules beside the file; nil where it is none.
func (d *doc) find() language.Finder {
	if d.path == "" {
		return nil
	}
	return (&modules.Folders{Own: filepath.Dir(d.path), User: modules.UserFolder()}).Find
}

// pathOf gives a file's path of its URI, or "".
func pathOf(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "file" || !filepath.IsAbs(u.Path) {
		return ""
	}
	return filepath.Clean(u.Path)
}

func uriOf(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	return (&url.URL{Scheme: "file", Path: path}).String()
}

// rangeOf is a span as the editor counts.
func rangeOf(l *syntax.Lines, at syntax.Span) textRange {
	var r textRange
	r.Start.Line, r.Start.Character = l.UTF16(at.From)
	r.End.Line, r.End.Character = l.UTF16(at.To)
	return r
}

// isFile says whether a path is there, for what is shown of it.
func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && !strings.HasSuffix(path, "/")
}
