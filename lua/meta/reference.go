package meta

import (
	"fmt"
	"strings"

	"vsl/lua/api"
	"vsl/lua/bind"
	"vsl/lua/language"
)

// Reference is the page of the language in Markdown.
func Reference() string {
	var b strings.Builder
	b.WriteString(`# Reference of the recipe language

Every table, key, function and method, as the program itself declares them. ` + "`vsl doc NAME`" + ` shows the same
offline, and ` + "`vsl doc --stubs`" + ` gives it to editors.

## Tables

`)
	for _, s := range bind.Schemas() {
		fmt.Fprintf(&b, "### %s\n\n%s\n\n", s.Name, s.Doc)
		if s.Items != nil {
			fmt.Fprintf(&b, "Its list part holds: %s.\n\n", s.Items.Want)
		}
		if len(s.Keys) == 0 {
			continue
		}
		b.WriteString("| key | value | default | |\n|---|---|---|---|\n")
		for _, k := range s.Keys {
			doc := k.Doc
			if k.Required {
				doc += "; required"
			}
			if k.Live {
				doc += "; may change while the guest runs"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", k.Name, cell(k.Type.Want), cell(k.Default), cell(doc))
		}
		b.WriteString("\n")
	}
	b.WriteString("## Functions\n\n| | |\n|---|---|\n")
	for _, f := range globals() {
		fmt.Fprintf(&b, "| `%s%s` | %s |\n", f.Name, cell(f.Sig), cell(f.Doc))
	}
	b.WriteString("\n## Objects\n\n")
	for _, o := range api.Objects() {
		fmt.Fprintf(&b, "### %s\n\n%s\n\n", strings.TrimPrefix(o.Class, "vsl."), o.Doc)
		methods := methodsOf(o.Class)
		if len(o.Fields)+len(methods) == 0 {
			continue
		}
		b.WriteString("| | |\n|---|---|\n")
		for _, f := range o.Fields {
			fmt.Fprintf(&b, "| `.%s: %s` | %s |\n", f.Name, cell(f.Type), cell(f.Doc))
		}
		for _, m := range methods {
			fmt.Fprintf(&b, "| `:%s%s` | %s |\n", m.Name, cell(m.Sig), cell(m.Doc))
		}
		b.WriteString("\n")
	}
	helperRows(&b)
	return b.String()
}

// helperRows is vsl.std.
func helperRows(b *strings.Builder) {
	b.WriteString("## vsl.std\n\n`local std = require \"vsl.std\"`\n\n| | |\n|---|---|\n")
	for _, h := range language.Helpers() {
		doc := h.Doc
		if h.Example != "" {
			doc += " `" + h.Example + "`"
		}
		fmt.Fprintf(b, "| `std.%s%s` | %s |\n", h.Name, cell(h.Sig), cell(doc))
	}
}

// cell is a text inside a row of a table.
func cell(s string) string { return strings.ReplaceAll(strings.ReplaceAll(s, "|", "\\|"), "\n", " ") }
