package repl

import (
	"slices"
	"strings"

	"vsl/lua/bind"
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
	if strings.HasPrefix(text, ".src ") || !isCommand(text) {
		names, from := r.s.Names(text)
		for _, n := range names {
			items = append(items, Item{Text: n})
		}
		return items, from
	}
	return nil, len(text)
}

func begin(items []Item, with string) []Item {
	return slices.DeleteFunc(items, func(i Item) bool { return !strings.HasPrefix(i.Text, with) })
}
