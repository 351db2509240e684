package repl

import (
	"slices"
	"strings"

	"vsl/lua/bind"
	"vsl/lua/complete"
	"vsl/lua/language"
	"vsl/lua/syntax"
)

// guestAtEnd is a text that ends where the name of a guest is wanted.
var guestAtEnd = bind.LazyRE(`(?:^\.(?:up|down|plan|sh)\s+(?:\S+\s+)*|\b(?:up|down|context|cow_clone|limit|bind_ip|boot|kill)\s*[({]?\s*")([\w.-]*)$`)

// complete is the prompt's Completer: commands, guests where they are named, and
// otherwise what is known of the session's values.
func (r *repl) complete(text string) (items []Item, from int) {
	if m := guestAtEnd().FindStringSubmatchIndex(text); m != nil {
		for _, d := range r.s.Guests() {
			items = append(items, Item{Text: d.Spec.Name, Doc: "guest"})
		}
		return begin(items, text[m[2]:]), m[2]
	}
	if word, after, ok := strings.Cut(text, " "); ok && word == ".doc" && r.host.Topics != nil {
		for _, t := range r.host.Topics() {
			items = append(items, Item{Text: t})
		}
		return begin(items, after), len(word) + 1
	}
	if isCommand(text) && !strings.ContainsAny(text, " \n") {
		for _, c := range commands() {
			items = append(items, Item{Text: "." + c.names[0], Doc: c.doc})
		}
		return begin(items, text), 0
	}
	if !isCommand(text) {
		return r.words(text)
	}
	if strings.HasPrefix(text, ".src ") {
		names, from := r.s.Names(text)
		for _, n := range names {
			items = append(items, Item{Text: n})
		}
		return items, from
	}
	return nil, len(text)
}

// words gives what editors are given too, from the text alone; where any name can
// stand, and of values that the text says nothing about, what the session's are now
// comes beside.
func (r *repl) words(text string) (items []Item, from int) {
	a := language.Analyse(language.Session(), syntax.Parse(r.past+text), nil)
	found, word := complete.At(a, len(r.past)+len(text))
	typed := text[word.From-len(r.past):]
	anything := len(found) == 0 && !syntax.InText(text)
	for _, i := range found {
		anything = anything || i.Kind == complete.Keyword
	}
	seen := map[string]bool{}
	for _, i := range complete.Matching(found, typed) {
		seen[i.Label] = true
		item := Item{Text: i.Insert, Doc: i.Detail}
		if item.Text == "" {
			item.Text = i.Label
		}
		if item.Doc == "" {
			item.Doc = i.Doc
		}
		items = append(items, item)
	}
	if !anything {
		return items, word.From - len(r.past)
	}
	names, from := r.s.Names(text)
	for _, n := range names {
		if !seen[n] {
			items = append(items, Item{Text: n})
		}
	}
	return items, from
}

// maxPast bounds how much of what was typed is looked at to complete more.
const maxPast = 64 << 10

// remember keeps a chunk that ran, as what it assigned can be named from now on;
// its locals are gone.
func (r *repl) remember(chunk string) {
	if len(syntax.Parse(chunk).Errors) > 0 { // an expression
		return
	}
	if len(r.past)+len(chunk) > maxPast {
		r.past = ""
	}
	if len(chunk) <= maxPast {
		r.past += "do " + chunk + "\nend\n"
	}
}

func begin(items []Item, with string) []Item {
	return slices.DeleteFunc(items, func(i Item) bool { return !strings.HasPrefix(i.Text, with) })
}
