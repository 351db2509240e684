package main

import (
	"fmt"
	"strings"

	"vsl/lua/language"
	"vsl/lua/runtime"
)

// stdPage is vsl.std with an example of each function, and how the language differs
// from the Lua that others know.
func stdPage() string {
	var b strings.Builder
	b.WriteString(`vsl.std holds what Lua 5.1 lacks and recipes want: text, lists, JSON, Base64, hashes, UTF-8, versions.

  local std = require "vsl.std"

Behind --> is what an expression gives, as std.inspect shows it. A wrong argument is an error that names the
recipe's line. What is made of a text is bounded by 64 MB, and Ctrl-C or a timeout ends it.

`)
	for _, h := range language.Helpers() {
		b.WriteString(helperText(h) + "\n")
	}
	b.WriteString("Lua itself is 5.1 here, and is compared with lua5.1 by tests. These differences are meant to be:\n\n")
	for _, d := range runtime.Differences {
		b.WriteString(wrap("  - ", "    ", d))
	}
	b.WriteString(wrap("  - ", "    ", "what one call makes is bounded: 64 MB of text, lists of 4 million items, 200 coroutines within each other"))
	b.WriteString(wrap("  - ", "    ", "a global that is not defined is an error, and so is assigning to one"))
	b.WriteString("\nRecipes do not have these globals:\n\n")
	for _, name := range runtime.Refused() {
		fmt.Fprintf(&b, "  %-15s %s\n", name, runtime.WhyRefused(name))
	}
	return b.String()
}

// helperText is one function with its example.
func helperText(h language.Helper) string {
	text := "std." + h.Name + h.Sig + "\n" + wrap("    ", "    ", h.Doc)
	if h.Example != "" {
		text += "      " + h.Example + "\n"
	}
	return text
}

// wrap breaks a text into lines of a terminal's width.
func wrap(first, others, text string) string {
	const width = 110
	var b strings.Builder
	line := first
	for i, word := range strings.Fields(text) {
		if i > 0 && len(line)+1+len(word) > width {
			b.WriteString(line + "\n")
			line = others
		} else if i > 0 {
			line += " "
		}
		line += word
	}
	return b.String() + line + "\n"
}
