package main

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"vsl/docs"
	"vsl/engine"
	"vsl/lua/api"
	"vsl/lua/bind"
)

// docOf explains a topic. What it means first is what it is taken for: a word of the
// language, a verb, a page, a heading; what is none of these is looked for in the
// text of all pages.
func docOf(root *cobra.Command, topic string) (string, error) {
	all := docEntries()
	verb := verbLine(root, topic)
	if text := languageText(all, topic); text != "" {
		return text + alsoLines(all, verb, topic), nil
	}
	if text := pageText(all, topic); text != "" || verb != "" {
		if verb != "" && text != "" {
			verb += "\n\n"
		}
		return verb + strings.TrimRight(text, "\n") + "\n", nil
	}
	if text := headingText(topic); text != "" {
		return text, nil
	}
	said := cmp.Or(bind.Foreign("", topic), calledElsewhere(root, topic))
	if text := placesText(topic, said); text != "" {
		return text, nil
	}
	names := verbs(root)
	for _, e := range all {
		names = append(names, e.name, e.name[strings.LastIndexAny(e.name, ".:/")+1:])
	}
	hint := "vsl doc lists the language and the pages, vsl --help the verbs"
	if near := engine.Misspelt(topic, names); near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	return "", &usageError{msg: fmt.Sprintf("nothing is known of %q", topic), hint: hint}
}

// alsoLines are the verb and the page of the same name as a word of the language.
func alsoLines(all []docEntry, verb, topic string) string {
	out := ""
	if verb != "" {
		out = verb + "\n"
	}
	for _, e := range all {
		if e.isPage() && (e.name == topic || e.name == "guide/"+topic) {
			out += fmt.Sprintf("%s is a page, see vsl doc %s: %s\n", topic, e.name, e.doc)
		}
	}
	if out != "" {
		out = "\n" + out
	}
	return out
}

// isPage tells pages from words of the language.
func (e docEntry) isPage() bool { return e.kind == docPage || e.kind == docGuide }

// languageText explains a word of the language, "" where there is none: the one of
// that name, or all whose last part it is, with those that it begins, as probe does probe.tcp.
func languageText(all []docEntry, topic string) string {
	var found, members []docEntry
	page := pageText(all, topic) != ""
	for i, e := range all {
		name, _, option := strings.Cut(strings.TrimPrefix(topic, "g:"), ".")
		switch {
		case e.isPage():
		case e.name == topic:
			text := e.text()
			for _, also := range all[i+1:] {
				if also.name == topic && also.kind == docFunction {
					text = strings.SplitAfter(also.text(), "\n")[0] + "\n" + text
				}
			}
			return text
		case option && e.name == "g:"+name && strings.HasPrefix(topic, "g:"):
			if text := optionText(name, topic); text != "" {
				return text
			}
		case strings.HasSuffix(e.name, "."+topic) || e.name == "g:"+topic:
			found = append(found, e)
		case strings.HasPrefix(e.name, topic+".") && e.kind != docKey && !page:
			members = append(members, e)
		}
	}
	found = shortest(append(members, found...))
	var told []string
	for _, e := range found {
		if !slices.Contains(told, e.name) { // a function and its table share a name
			told = append(told, e.name)
		}
	}
	if len(told) == 1 && told[0] != topic {
		return languageText(all, told[0])
	}
	var b strings.Builder
	for _, name := range told {
		at := slices.IndexFunc(found, func(e docEntry) bool { return e.name == name })
		fmt.Fprintf(&b, "%s: %s\n", name, found[at].doc)
	}
	return b.String()
}

// optionText explains a key of the table that a method takes, as in g:exec.check.
func optionText(method, topic string) string {
	for _, m := range api.Methods() {
		if m.Name != method || m.Options == nil {
			continue
		}
		for _, k := range m.Options.Keys {
			if "g:"+method+"."+k.Name == topic {
				return keyText(topic, k)
			}
		}
	}
	return ""
}

// verbLine says that a topic is a verb, "" where it is none.
func verbLine(root *cobra.Command, topic string) string {
	for _, c := range root.Commands() {
		if c.Name() == topic && !c.Hidden && !isTopic(c) {
			return fmt.Sprintf("%s is a verb, see vsl %s --help: %s", topic, topic, c.Short)
		}
	}
	return ""
}

// pageText is a page of help or of the documentation.
func pageText(all []docEntry, topic string) string {
	for _, e := range all {
		if e.isPage() && (e.name == topic || e.name == "guide/"+topic) {
			return e.text()
		}
	}
	return ""
}

// docLine is a line of a page.
type docLine struct {
	page, heading string
	text          string
	code, listed  bool // in a block of code, or in a list of keys as help has them
	level         int  // of a heading: how many # it has
}

// docLines are all lines of the documentation and of help, in the pages' order. The
// reference comes last: it says again what the words of the language say.
func docLines() []docLine {
	pages := docs.Pages()
	for _, t := range topicPages() {
		pages = append(pages, docs.Page{Name: t.name, Title: t.short, Text: "# " + t.short + "\n" + t.text()})
	}
	slices.SortStableFunc(pages, func(a, b docs.Page) int {
		last := func(p docs.Page) int { return len(p.Name) - len(strings.TrimPrefix(p.Name, "reference")) }
		return last(a) - last(b)
	})
	var out []docLine
	for _, p := range pages {
		at := docLine{page: p.Name}
		for line := range strings.Lines(p.Text) {
			at.text, at.level = strings.TrimSpace(line), 0
			if strings.HasPrefix(line, "```") {
				at.code = !at.code
				continue
			}
			at.listed = strings.HasPrefix(line, "  ")
			if title := strings.TrimLeft(at.text, "#"); !at.code && title != at.text && strings.HasPrefix(title, " ") {
				at.level = len(at.text) - len(title)
				at.text = strings.TrimSpace(title)
				at.heading = at.text
			}
			out = append(out, at)
		}
	}
	return out
}

// headingText is the section of a page that a heading of that name begins.
func headingText(topic string) string {
	for _, page := range docs.Pages() {
		var b strings.Builder
		depth, code := 0, false
		for line := range strings.Lines(page.Text) {
			if strings.HasPrefix(line, "```") {
				code = !code
			}
			title := strings.TrimLeft(line, "#")
			level := len(line) - len(title)
			switch {
			case code || level == 0:
			case depth > 0 && level <= depth:
				return b.String()
			case depth == 0 && strings.EqualFold(strings.TrimSpace(title), topic):
				depth = level
				fmt.Fprintf(&b, "From %s, which vsl doc %s shows:\n\n", page.Title, page.Name)
			}
			if depth > 0 {
				b.WriteString(line)
			}
		}
		if depth > 0 {
			return b.String()
		}
	}
	return ""
}

// maxPlaces is how many places are shown where a word is said.
const maxPlaces = 5

// placesText lists where pages speak of a topic, below a sentence that may be "".
func placesText(topic, said string) string {
	var b strings.Builder
	if said != "" {
		b.WriteString(said + "\n")
	}
	found := places(topic)
	if len(found) == 0 {
		return b.String()
	}
	if said == "" {
		fmt.Fprintf(&b, "%q is no word of the recipe language.\n", topic)
	}
	b.WriteString("\nWhere pages speak of it:\n\n")
	for _, l := range found {
		where := l.page
		if l.heading != l.text {
			where += ": " + l.heading
		}
		fmt.Fprintf(&b, "  %s\n      %s\n", where, readable(l.text))
	}
	fmt.Fprintf(&b, "\nvsl doc %s shows the first of these pages.\n", found[0].page)
	return b.String()
}

// places are the best lines that have all words of a topic, one of each section.
func places(topic string) []docLine {
	var words []*regexp.Regexp
	for _, w := range strings.Fields(topic) {
		stem := regexp.QuoteMeta(strings.TrimSuffix(w, "s"))
		words = append(words, regexp.MustCompile(`(?i)(^|[^\pL\d_])`+stem+`(s|es)?($|[^\pL\d_])`))
	}
	if len(words) == 0 {
		return nil
	}
	var best []docLine
	rank := map[docLine]int{}
	for _, l := range docLines() {
		if slices.ContainsFunc(words, func(re *regexp.Regexp) bool { return !re.MatchString(l.text) }) {
			continue
		}
		n := score(l, words[0])
		at := slices.IndexFunc(best, func(o docLine) bool { return o.page == l.page && o.heading == l.heading })
		switch {
		case at < 0:
			best = append(best, l)
			rank[l] = n
		case n > rank[best[at]]:
			best[at] = l
			rank[l] = n
		}
	}
	slices.SortStableFunc(best, func(a, b docLine) int { return rank[b] - rank[a] })
	return best[:min(len(best), maxPlaces)]
}

// score says how much a line is about a word: headings name what follows, a table's
// first column what its row is about; code only uses it.
func score(l docLine, word *regexp.Regexp) int {
	switch first, _, row := strings.Cut(strings.TrimPrefix(l.text, "|"), "|"); {
	case l.level > 0:
		return 10 - l.level
	case l.code, l.listed:
		return 1
	case strings.HasPrefix(l.page, "reference"):
		return 2
	case row && word.MatchString(first):
		return 5
	case strings.HasPrefix(l.text, "**") && word.MatchString(strings.SplitN(l.text, "**", 3)[1]):
		return 6
	}
	return 3
}

// readable is a line of a page without its markup.
func readable(line string) string {
	if row, ok := strings.CutPrefix(line, "| "); ok {
		line = strings.ReplaceAll(strings.TrimSuffix(row, " |"), " | ", ": ")
	}
	return strings.ReplaceAll(line, "**", "")
}
