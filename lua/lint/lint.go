// Package lint looks for mistakes in a recipe's text without running it: what vsl
// check would refuse, also in code that it does not come by, and what is allowed
// and was hardly meant.
package lint

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"vsl/lua/bind"
	"vsl/lua/language"
	"vsl/lua/syntax"
)

// Finding is something that was found at a place of a text.
type Finding struct {
	File    string      `json:"file"`
	Line    int         `json:"line"`
	Col     int         `json:"col"` // in characters, from 1
	EndLine int         `json:"endLine"`
	EndCol  int         `json:"endCol"`
	Rule    string      `json:"rule"`
	Error   bool        `json:"error"` // vsl would fail at it; else it is only unlikely to be meant
	Message string      `json:"message"`
	Hint    string      `json:"hint,omitempty"` // what to do
	Span    syntax.Span `json:"-"`
}

func (f Finding) String() string {
	return fmt.Sprintf("%s:%d:%d: %s: %s", f.File, f.Line, f.Col, f.Rule, f.Message)
}

// Rule is one kind of finding.
type Rule struct {
	Name  string
	Error bool
	Doc   string
}

// Rules lists what is looked for.
var Rules = []Rule{
	{"syntax", true, "the text is no Lua"},
	{"undefined", true, "a name that is neither a local nor a word of the language"},
	{"global", true, "an assignment to a global: recipes have local variables alone"},
	{"unknown-key", true, "a key that the table does not have"},
	{"missing-key", true, "a key that the table must have"},
	{"value", true, "a value that its key does not take"},
	{"unknown-field", true, "a field or method that an object or module does not have"},
	{"no-module", true, "a module that require does not find"},
	{"outside-flow", true, "a primitive or method that acts, called while the recipe is read"},
	{"inside-flow", true, "a guest, template or pool declared while a flow runs"},
	{"duplicate-key", false, "a key that the same table has twice; the later one counts"},
	{"never-equal", false, "a comparison with a text that the value cannot be"},
	{"unused", false, "a local variable or function that nothing reads; names that begin with _ may be"},
	{"unused-value", false, "a value that is assigned and replaced before anything reads it"},
	{"shadow", false, "a local that hides another, or a word of the language"},
	{"unreachable", false, "code that nothing comes by"},
	{"ignore", false, "a comment that ignores a rule there is not, or that finds nothing"},
}

var rule = sync.OnceValue(func() map[string]Rule {
	m := map[string]Rule{}
	for _, r := range Rules {
		m[r.Name] = r
	}
	return m
})

// Options are what a text is looked at with. The zero value will do.
type Options struct {
	Language *language.Language // nil is that of the file, by its name
	Find     language.Finder    // modules beside the recipe; nil does not look
}

type linter struct {
	name string
	f    *syntax.File
	lang *language.Language
	a    *language.Analysis
	o    Options
	out  []Finding
}

// Text looks at a text. One that is no Lua has a single finding.
func Text(name, text string, o Options) []Finding {
	f := syntax.Parse(text)
	if o.Language == nil {
		o.Language = language.For(name)
	}
	return File(name, f, language.Analyse(o.Language, f, o.Find), o)
}

// File looks at a text that was taken apart.
func File(name string, f *syntax.File, a *language.Analysis, o Options) []Finding {
	l := &linter{name: name, f: f, lang: a.Lang, a: a, o: o}
	if len(f.Errors) > 0 {
		e := f.Errors[0]
		l.add("syntax", e.Span, e.Msg, e.Hint)
		return l.out
	}
	l.names()
	l.values()
	l.calls()
	l.tables()
	l.unreachable(f.Body)
	l.comparisons()
	l.ignore()
	slices.SortStableFunc(l.out, func(a, b Finding) int {
		return cmp.Or(a.Span.From-b.Span.From, strings.Compare(a.Rule, b.Rule), strings.Compare(a.Message, b.Message))
	})
	return slices.CompactFunc(l.out, func(a, b Finding) bool { return a.Span == b.Span && a.Rule == b.Rule })
}

// maxFindings is how many are told of one text: nobody reads more.
const maxFindings = 1000

// add notes a finding. One that spans lines is shown on its first.
func (l *linter) add(name string, at syntax.Span, msg, hint string) {
	if len(l.out) >= maxFindings {
		return
	}
	if nl := strings.IndexAny(l.f.Text[at.From:at.To], "\r\n"); nl >= 0 {
		at.To = at.From + nl
	}
	f := Finding{File: l.name, Rule: name, Error: rule()[name].Error, Message: msg, Hint: hint, Span: at}
	f.Line, f.Col = l.f.Lines.At(at.From)
	f.EndLine, f.EndCol = l.f.Lines.At(at.To)
	l.out = append(l.out, f)
}

func (l *linter) mistake(name string, at syntax.Span, e *bind.Error) { l.add(name, at, e.Msg, e.Hint) }

var ignoring = regexp.MustCompile(`^--+\s*lint:\s*ignore\b[ \t]*(.*)$`)

// ignore takes out what comments on the same line ask for.
func (l *linter) ignore() {
	known := []string{}
	for _, r := range Rules {
		known = append(known, r.Name)
	}
	for _, c := range l.f.Comments {
		m := ignoring.FindStringSubmatch(strings.TrimRight(c.Text, " \t\r"))
		if m == nil {
			continue
		}
		line, _ := l.f.Lines.At(c.From)
		names := strings.FieldsFunc(m[1], func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
		if len(names) == 0 {
			l.add("ignore", c.Span, "the comment names no rule", "write -- lint: ignore unused")
		}
		for _, name := range names {
			before := len(l.out)
			l.out = slices.DeleteFunc(l.out, func(f Finding) bool { return f.Line == line && f.Rule == name })
			switch {
			case !slices.Contains(known, name):
				hint := bind.DidYouMean(name, known)
				if hint == "" {
					hint = "vsl lint --help lists the rules"
				}
				l.add("ignore", c.Span, fmt.Sprintf("there is no rule %q", name), hint)
			case len(l.out) == before:
				l.add("ignore", c.Span, fmt.Sprintf("the rule %q finds nothing in this line", name), "leave the comment out")
			}
		}
	}
}
