// Package std is the part of vsl.std that is made in Go. The rest of it is
// stdlib/vsl/std.lua; a recipe that does not require vsl.std pays for neither.
package std

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"vsl/lua/runtime"
)

// Module is the module's name.
const Module = "vsl.std"

// Member is a function or a value of vsl.std, or of a table in it.
type Member struct {
	Name    string // "sha256", "json.encode"
	Sig     string // as LuaLS writes types: "(text: string): string"; of a value ": string", of a table ""
	Doc     string
	Example string // an expression, and behind --> what it gives as inspect shows it

	fn    func(c *call) int
	value func(l *lua.LState) lua.LValue
}

// Function says that it can be called.
func (m Member) Function() bool { return m.fn != nil }

// Members lists them, tables before what is in them.
func Members() []Member {
	out := []Member{
		{Name: "inspect", Sig: "(value: any): string", Doc: "shows a value as the prompt does: tables with their keys sorted, what contains itself marked, what is large cut short.",
			Example: `std.inspect({ b = 1, 2 }) --> "{ 2, b = 1 }"`, fn: inspect},
		{Name: "sha256", Sig: "(text: string): string", Doc: "gives the SHA-256 of a text, as 64 hexadecimal digits.",
			Example: `std.sha256("a"):sub(1, 8) --> "ca978112"`, fn: sum},
	}
	out = append(out, jsonMembers()...)
	out = append(out, base64Members()...)
	out = append(out, utf8Members()...)
	return append(out, semverMembers()...)
}

// Register adds the members to vsl.std in a state, once a recipe requires it.
func Register(s *runtime.State) {
	s.Extend(Module, func(l *lua.LState, std *lua.LTable) {
		tables := map[string]*lua.LTable{}
		for _, m := range Members() {
			into, name := std, m.Name
			if table, short, ok := strings.Cut(m.Name, "."); ok {
				into, name = tables[table], short
			}
			switch {
			case m.fn != nil:
				into.RawSetString(name, s.Func("std."+m.Name, func(l *lua.LState) int { return m.fn(&call{s, l, name}) }))
			case m.value != nil:
				into.RawSetString(name, m.value(l))
			default:
				tables[name] = l.NewTable()
				std.RawSetString(name, tables[name])
			}
		}
		for name, t := range tables {
			s.Strict("std."+name, t)
		}
		s.Strict("std", std)
	})
}

func inspect(c *call) int {
	c.any(1)
	return c.gives(runtime.Pretty(c.l, c.l.Get(1)))
}

// sumEvery is how much is hashed between two looks at the context.
const sumEvery = 4 << 20

func sum(c *call) int {
	text, h := c.text(1), sha256.New()
	for len(text) > 0 {
		n := min(len(text), sumEvery)
		h.Write([]byte(text[:n]))
		text = text[n:]
		if ctx := c.l.Context(); ctx != nil && ctx.Err() != nil {
			c.s.Raise(c.l, context.Cause(ctx))
		}
	}
	return c.gives(hex.EncodeToString(h.Sum(nil)))
}
