package lua

import (
	"context"
	"strings"
	"testing"

	"vsl/engine/enginetest"
)

// What a flow puts into g.data is kept at its end, once, and only where it changed.
func TestData(t *testing.T) {
	for _, c := range []struct{ name, before, body, want, err string }{
		{"set", ``, `g.data.n = 1 g.data.list = { "a", { b = true } } g.data.x = 1.5`, `{"list":["a",{"b":true}],"n":1,"x":1.5}`, ""},
		{"read", `{"n":41}`, `g.data.n = g.data.n + 1`, `{"n":42}`, ""},
		{"unchanged", "{\"n\":41}\n", `print(g.data.n)`, "", ""},
		{"nothing", ``, `print(g.data.n)`, "", ""},
		{"removed", `{"n":41}`, `g.data.n = nil`, `{}`, ""},
		{"a flow that fails keeps nothing", `{"n":1}`, `g.data.n = 2 error("no")`, "", "recipe.lua:2: no"},
		{"function", ``, `g.data.f = { g = print }`, "", `data of guest web cannot be kept: f.g is a function, which JSON cannot say`},
		{"cycle", ``, `g.data.t = g.data`, "", `or within itself`},
		{"both kinds of keys", ``, `g.data.t = { 1, a = 2 }`, "", `t has list items and the key "a"`},
		{"sparse", ``, `g.data.t = { [1] = 1, [3] = 3 }`, "", `t is a list without an item 2`},
		{"not a number", ``, `g.data.t = 0/0`, "", `t is NaN`},
		{"a guest", ``, `g.data.t = g`, "", `t is a userdata`},
		{"broken", `[1]`, `print(g.data.n)`, "", `what was kept is no object`},
	} {
		t.Run(c.name, func(t *testing.T) {
			calls, err := boot(t, context.Background(), "guest \"web\" { boot = function(g)\n"+c.body+"\nend }", Options{Stdout: new(strings.Builder)}, func(e *enginetest.Engine) {
				if c.before != "" {
					e.Data = map[string]string{"web": c.before}
				}
			})
			if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Fatalf("error %v, want %q", err, c.err)
			}
			got := strings.TrimPrefix(strings.Join(calls, "\n"), "data web ")
			if got != c.want {
				t.Errorf("kept %s, want %s", got, c.want)
			}
		})
	}
}
