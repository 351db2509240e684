package language

import (
	"cmp"
	"slices"
	"strings"

	"vsl/lua/std"
)

// Helper is a member of vsl.std, or of a table in it, for documentation.
type Helper struct {
	Name    string // "trim", "json.encode"
	Sig     string // "(s)", or with types; "" is a table
	Doc     string // goes on behind the name: "takes the space off both ends."
	Example string // an expression, and behind --> what it gives
}

// Helpers lists them, sorted.
func Helpers() []Helper {
	var out []Helper
	for name, e := range FindModule(std.Module, nil).Members {
		if e.Params != "" {
			out = append(out, Helper{name, e.Params, strings.ReplaceAll(e.Doc, "\n", " "), e.Example})
		}
	}
	for _, m := range std.Members() {
		out = append(out, Helper{m.Name, m.Sig, m.Doc, m.Example})
	}
	slices.SortFunc(out, func(a, b Helper) int { return cmp.Compare(a.Name, b.Name) })
	return out
}
