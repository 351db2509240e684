package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"vsl/docs"
	"vsl/lua/api"
	"vsl/lua/bind"
	"vsl/lua/language"
	"vsl/lua/meta"
)

func (a *app) docCommand() *cobra.Command {
	var o docOptions
	cmd := &cobra.Command{
		Use:   "doc [TOPIC]",
		Short: "what a word of the recipe language means",
		Long: "Explains a table, a key or a method of the recipe language, or shows a page of vsl help or a guide.\n" +
			"Any other word is looked for in all pages, and the places are shown where they speak of it.\n" +
			"Keys are named by the tables they are in, as far as is needed: memory, limit.memory or guest.limit.memory.\n" +
			"Without a topic all of them are listed. It needs no network and reads no recipe.\n" +
			"--stubs, --luacheck and --json give the language to editors, linters and programs.",
		Example: "  vsl doc limit.memory\n  vsl doc probe.http\n  vsl doc g:exec",
		Args:    atMost(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.stubs || o.luacheck || o.json {
				return a.docForPrograms(o)
			}
			text, err := docText(cmd.Root(), strings.Join(args, " "))
			a.ui.printf("%s", text)
			return err
		},
	}
	cmd.Flags().BoolVar(&o.stubs, "stubs", false, "print definitions for the Lua language server (LuaLS)")
	cmd.Flags().BoolVar(&o.luacheck, "luacheck", false, "print a configuration for luacheck")
	cmd.Flags().BoolVar(&o.json, "json", false, "print tables and functions as JSON")
	cmd.ValidArgsFunction = func(_ *cobra.Command, args []string, begin string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, noFiles
		}
		return matching(docTopics(), nil, begin), noFiles
	}
	return cmd
}

type docKind int

const (
	docTable docKind = iota
	docKey
	docMethod
	docFunction
	docPage
	docGuide
)

// docEntry is one thing that can be looked up.
type docEntry struct {
	kind docKind
	name string // "limit.memory", "g:exec", "guest", "flows"
	doc  string // its first line
	text func() string
}

// docEntries lists tables with their keys, methods, the pages of help, and the
// documentation, in this order: what a name means first is what it is taken for.
func docEntries() []docEntry {
	var out []docEntry
	for _, s := range bind.Schemas() {
		out = append(out, schemaEntries(s.Name, s)...)
	}
	out = append(out, functionEntries()...)
	for _, p := range topicPages() {
		out = append(out, docEntry{docPage, p.name, p.short, p.text})
	}
	for _, p := range docs.Pages() {
		out = append(out, docEntry{docGuide, p.Name, p.Title, func() string { return p.Text }})
	}
	return out
}

// functionEntries are functions and methods. A function that shares its name with
// a table is told with it.
func functionEntries() (out []docEntry) {
	options := map[string]*bind.Schema{}
	for _, m := range api.Methods() {
		options["g:"+m.Name] = m.Options
	}
	for _, f := range api.Functions() {
		kind := docFunction
		if strings.Contains(f.Name, ":") {
			kind = docMethod
		}
		text := f.Name + f.Sig + "\n\n" + f.Doc + "\n"
		if s := options[f.Name]; s != nil {
			text += keys("Keys of its table:", s)
		}
		out = append(out, docEntry{kind, f.Name, f.Doc, func() string { return text }})
	}
	for _, h := range language.Helpers() {
		text := helperText(h) + "\nlocal std = require \"vsl.std\" comes first.\n"
		out = append(out, docEntry{docFunction, "std." + h.Name, h.Doc, func() string { return text }})
	}
	return out
}

// docOptions choose a form for programs.
type docOptions struct{ stubs, luacheck, json bool }

func (a *app) docForPrograms(o docOptions) error {
	switch {
	case o.stubs:
		a.ui.printf("%s", meta.Stubs())
	case o.luacheck:
		a.ui.printf("%s", meta.Luacheck())
	default:
		return a.ui.json(meta.Describe())
	}
	return nil
}

// schemaEntries are a table and all that is in it.
func schemaEntries(path string, s *bind.Schema) []docEntry {
	out := []docEntry{{docTable, path, s.Doc, func() string { return keys(path+": "+s.Doc, s)[1:] }}}
	for _, k := range s.Keys {
		name := path + "." + k.Name
		out = append(out, docEntry{docKey, name, k.Doc, func() string { return keyText(name, k) }})
		if k.Type.Sub != nil {
			out = append(out, schemaEntries(name, k.Type.Sub)[1:]...)
		}
	}
	return out
}

// keyText is all that is known of one key.
func keyText(name string, k bind.Key) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n\n", name, k.Doc)
	line := func(what, text string) {
		if text != "" {
			fmt.Fprintf(&b, "  %-9s%s\n", what, text)
		}
	}
	line("type", k.Type.Want)
	line("default", k.Default)
	if k.Required {
		line("required", "yes")
	}
	if k.Live {
		line("live", "a change takes effect on a running guest, at vsl up or vsl limit")
	}
	if k.Type.Sub != nil {
		b.WriteString(keys("Keys of its table:", k.Type.Sub))
	}
	return b.String()
}

// docText is a topic's text, or without a topic the list of them.
func docText(root *cobra.Command, topic string) (string, error) {
	if topic == "" {
		return docIndex(), nil
	}
	return docOf(root, topic)
}

// shortest leaves out what is the same key by way of an outer table:
// guest.limit.memory where limit.memory is there.
func shortest(list []docEntry) []docEntry {
	return slices.DeleteFunc(slices.Clone(list), func(e docEntry) bool {
		return slices.ContainsFunc(list, func(o docEntry) bool { return strings.HasSuffix(e.name, "."+o.name) })
	})
}

func docTopics() []string {
	var names []string
	for _, e := range docEntries() {
		if !slices.Contains(names, e.name) {
			names = append(names, e.name)
		}
	}
	return names
}

// docIndex lists tables, methods and pages with a line each; keys are found
// under their tables.
func docIndex() string {
	all := docEntries()
	tables := map[string]bool{}
	for _, e := range all {
		tables[e.name] = tables[e.name] || e.kind == docTable
	}
	var b strings.Builder
	for _, section := range []struct {
		title string
		kind  docKind
	}{{"Tables, with their keys:", docTable}, {"Methods:", docMethod}, {"Functions:", docFunction}, {"Pages:", docPage}, {"Guides:", docGuide}} {
		fmt.Fprintf(&b, "%s\n", section.title)
		for _, e := range all {
			if e.kind == section.kind && !(e.kind == docFunction && tables[e.name]) {
				fmt.Fprintf(&b, "  %-16s %s\n", e.name, e.doc)
			}
		}
		b.WriteString("\n")
	}
	b.WriteString("vsl doc TOPIC explains one; a key is named as in limit.memory. Any other word is looked for in all pages.\n")
	return b.String()
}
