package std

import (
	"errors"
	"fmt"

	lua "github.com/yuin/gopher-lua"

	"vsl/lua/bind"
	"vsl/lua/runtime"
)

func jsonMembers() []Member {
	return []Member{
		{Name: "json", Doc: "reads and writes JSON (RFC 8259). null is std.json.null, which is true to if, as it is a value."},
		{Name: "json.encode", Sig: "(value: any, options?: { indent?: integer }): string", fn: encodeJSON,
			Doc: "writes a value as JSON, always in the same way: the keys of objects are sorted. A table with the keys 1 to n is a list, one with texts as keys an object, " +
				"{} an object and std.json.list {} a list. { indent = 2 } writes a line for each item. What JSON cannot say is an error: functions, NaN, both kinds of keys, a table within itself.",
			Example: `std.json.encode({ b = { 1, 2 }, a = std.json.null }) --> "{\"a\":null,\"b\":[1,2]}"`},
		{Name: "json.decode", Sig: "(text: string): any", fn: decodeJSON,
			Doc:     "reads JSON, nothing looser. null is std.json.null everywhere, so that lists keep their length. Of a key that comes twice the last one counts. An error names line and column.",
			Example: `std.json.decode('{ "a": [1, null] }') --> { a = { 1, null } }`},
		{Name: "json.list", Sig: "(t?: table): table", fn: listJSON, Doc: "gives the table itself, which encode now writes as a list also where it is empty. What decode makes of [] is such a table.",
			Example: `std.json.encode { none = std.json.list {} } --> "{\"none\":[]}"`},
		{Name: "json.null", Sig: ": any", Doc: "is what null becomes, and what becomes null: compare with ==.", value: func(*lua.LState) lua.LValue { return runtime.JSONNull() },
			Example: `std.json.decode("null") == std.json.null --> true`},
	}
}

// maxIndent is how far in a level may be written.
const maxIndent = 8

func encodeJSON(c *call) int {
	v, indent := c.any(1), 0
	if given, ok := c.options(2, "indent")["indent"]; ok {
		n, ok := given.(lua.LNumber)
		if !ok || n < 0 || n > maxIndent || n != lua.LNumber(int(n)) {
			c.bad(2, "", "indent is a number of spaces, 0 to %d, not %s", maxIndent, bind.Describe(given))
		}
		indent = int(n)
	}
	text, err := runtime.EncodeJSON(c.l.Context(), v, indent)
	if err != nil {
		c.failed(err)
	}
	return c.gives(string(text))
}

func decodeJSON(c *call) int {
	v, err := runtime.DecodeJSON(c.l, c.text(1), runtime.JSONNull())
	if err != nil {
		c.failed(err)
	}
	c.l.Push(v)
	return 1
}

// failed raises what is wrong with the first argument, or why the call was ended.
func (c *call) failed(err error) {
	if ctx := c.l.Context(); ctx != nil && ctx.Err() != nil {
		c.s.Raise(c.l, err)
	}
	var mistake *bind.Error
	if errors.As(err, &mistake) {
		c.bad(1, mistake.Hint, "%s", mistake.Msg)
	}
	c.bad(1, "", "%s", fmt.Sprint(err))
}

func listJSON(c *call) int {
	t, ok := c.l.Get(1).(*lua.LTable)
	if c.l.Get(1) == lua.LNil {
		t, ok = c.l.NewTable(), true
	}
	if !ok {
		c.wants(1, "table")
	}
	if !runtime.MarkJSONList(t) {
		c.bad(1, "", "the table has a metatable")
	}
	c.l.Push(t)
	return 1
}
