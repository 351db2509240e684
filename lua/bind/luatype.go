package bind

import (
	"strconv"
	"strings"
)

// luaTypes are types as LuaLS writes them, by name; those with a schema or with a
// few texts are made of these.
var luaTypes = map[string]string{
	"string": "string", "boolean": "boolean", "integer": "integer", "number": "number",
	"size": "integer|string", "count": "integer|string", "duration": "number|string", "cpu": "number|string",
	"list of strings": "string[]", "command": "string|string[]", "map of strings": "table<string, string|number|boolean>",
	"function": "fun(g: vsl.Guest)", "template": "vsl.Template|vsl.Source", "source": "vsl.Source|vsl.Template",
	"address or list of addresses": "string|string[]|vsl.ip|vsl.ip[]", "address": "string", "address range": "string",
	"guests":                      "vsl.Guest|string|(vsl.Guest|string)[]|table<vsl.Guest|vsl.Pool|string, \"started\"|\"ready\">",
	"probe, function or duration": "vsl.Probe|number|string|fun(g: vsl.Guest): any",
	"secret":                      "vsl.Secret", "table of secrets": "table<string, vsl.Secret|vsl.secret>",
	"table of rlimits": "table<string, integer|string|vsl.rlimit>", "octal mode": "string", "user": "string|integer",
}

// Lua is the type as LuaLS writes it.
func (t *Type) Lua() string {
	if known := luaTypes[t.Name]; known != "" {
		return known
	}
	switch {
	case t.Sub != nil && t.Form == Items:
		return t.Sub.Class() + "[]"
	case t.Sub != nil:
		return t.Sub.Class()
	case len(t.Names) > 0:
		quoted := make([]string, len(t.Names))
		for i, n := range t.Names {
			quoted[i] = strconv.Quote(n)
		}
		return strings.Join(quoted, "|")
	}
	return "any"
}

// Class names the schema's tables among LuaLS's types.
func (s *Schema) Class() string { return "vsl." + strings.ReplaceAll(s.Name, " ", "_") }
