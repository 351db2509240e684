package api

import (
	"maps"
	"slices"

	"vsl/lua/bind"
)

// FunctionDoc describes a function or method of the language. Sig is its
// signature as LuaLS writes types: "(range: string): vsl.Subnet". Tables that have
// a schema are classes named after it: vsl.limit.
type FunctionDoc struct{ Name, Sig, Doc string }

// Functions lists every function that Open defines and every method of the
// objects, in the order in which a reader wants them. A test holds it against
// what a state really has.
func Functions() []FunctionDoc {
	out := []FunctionDoc{
		{"guest", "(name: string): fun(t: vsl.guest): vsl.Guest", "Declares a guest: guest \"web\" { … }."},
		{"pool", "(name: string): fun(t: vsl.pool): vsl.Pool", "Declares a number of guests made by one rule."},
		{"template", "(name: string): fun(t: vsl.template): vsl.Template", "Declares a read-only root that guests are cloned from."},
		{"host", "(): vsl.Source", "The host's own /usr, read-only, as a template's source: nothing is downloaded."},
		{"debian", "(t?: vsl.debian): vsl.Source", "A Debian or Ubuntu root made by mmdebstrap."},
		{"tar", "(t: vsl.tar|string): vsl.Source", "A root unpacked from an archive (plain, gz, xz, zst)."},
		{"subnet", "(range: string): vsl.Subnet", "A range of addresses to take single ones from."},
		{"subnet:at", "(n: integer): string", "The n-th address; 1 is the first that a host can have."},
		{"subnet:host", "(n: integer): string", "The same as at."},
	}
	for _, kind := range slices.Sorted(maps.Keys(bind.ParamTypes)) {
		s := bind.ParamSchema(kind)
		out = append(out, FunctionDoc{s.Name, "(name: string, t?: vsl." + s.Name + "): " + paramGives(kind), s.Doc})
	}
	out = append(out, FunctionDoc{"secret.file", "(path: string): vsl.Secret", "A secret that is a file of the host, in the recipe's folder."},
		FunctionDoc{"secret.env", "(variable: string): vsl.Secret", "A secret that is in a variable of vsl's environment."})
	for _, kind := range slices.Sorted(maps.Keys(bind.ProbeSchemas)) {
		s := bind.ProbeSchemas[kind]
		out = append(out, FunctionDoc{s.Name, "(t?: vsl." + s.Name + "|" + probeShort(s) + "): vsl.Probe", s.Doc})
	}
	for _, name := range Primitives {
		s := primitives[name].schema
		out = append(out, FunctionDoc{name, "(t: vsl." + s.Name + "): vsl.Guest", s.Doc})
	}
	out = append(out,
		FunctionDoc{"defer", "(fn: fun())", "Calls a function at the end of the flow, whatever becomes of it; the last one first."},
		FunctionDoc{"sleep", "(time: string|number)", "Waits, while other flows go on."},
		FunctionDoc{"timeout", "(time: string|number, fn: fun(): any): any", "Calls a function, and fails when it takes longer."},
		FunctionDoc{"retry", "(t: vsl.retry): any", bind.RetrySchema.Doc},
		FunctionDoc{"parallel", "(t: vsl.parallel): any", bind.ParallelSchema.Doc},
		FunctionDoc{"breakpoint", "()", "Stops the flow where somebody can look: vsl debug, vsl repl, or vsl up at a terminal."},
	)
	for _, level := range []string{"debug", "info", "warn", "error"} {
		out = append(out, FunctionDoc{"log." + level, "(message: any, fields?: table)", "Writes a line on standard error, with key=value fields."})
	}
	for _, m := range handleMethods() {
		out = append(out, FunctionDoc{"g:" + m.name, m.sig, m.doc})
	}
	return out
}

// probeShort is what a probe may be given instead of a table.
func probeShort(s *bind.Schema) string {
	if len(s.Keys) > 0 && s.Keys[0].Name == "port" {
		return "integer"
	}
	return "string"
}

// paramGives is what a parameter is in Lua: sizes are bytes, durations seconds.
func paramGives(kind string) string {
	switch kind {
	case "size":
		return "integer"
	case "duration":
		return "number"
	}
	return bind.ParamTypes[kind].Lua()
}
