package runtime

import (
	"context"
	"fmt"
	"strings"
	"testing"

	lua "github.com/yuin/gopher-lua"

	"vsl/engine"
)

// looker notes the variables at each statement.
type looker struct {
	s   *State
	out strings.Builder
}

func (k *looker) Loaded(string, []int)      {}
func (k *looker) Failed(*lua.LState, error) {}
func (k *looker) Statement(l *lua.LState, at engine.Pos) {
	fmt.Fprintf(&k.out, "%d:", at.Line)
	for _, x := range k.s.Variables(l, k.s.Levels(l)[0]) {
		if x.Value.Type() != lua.LTFunction {
			fmt.Fprintf(&k.out, " %s=%s", x.Name, x.Value)
		}
	}
	k.out.WriteString("\n")
}

// Blocks one after the other have the same registers; each variable keeps its name.
func TestVariables(t *testing.T) {
	k := &looker{}
	k.s = New(Options{Hook: k, HookAll: true})
	defer k.s.Close()
	const text = `local a = 1
do
  local b = 2
  local bb = 3
end
do
  local c = 4
  local d = 5
end
for i = 1, 1 do
  local z = 9
end
for _, v in ipairs({ 7 }) do
  local z = v
  if z == 7 then
    local x = 8
  else
    local y = 9
  end
end
local n = 0
repeat
  n = n + 1
  local until_here = n
until until_here > 0
while n < 2 do
  local w = 3
  n = n + 1
end
local t = {}
function t:m(p, ...)
  do local q = 1 end
  local inner = p
  do local r = 2
    inner = r + a end
  return inner
end
t:m(6)
do local last = 1 end
return n
`
	const want = `1:
2: a=1
3: a=1
4: a=1 b=2
6: a=1
7: a=1
8: a=1 c=4
10: a=1
11: a=1 i=1
13: a=1
14: a=1 _=1 v=7
15: a=1 _=1 v=7 z=7
16: a=1 _=1 v=7 z=7
21: a=1
22: a=1 n=0
23: a=1 n=0
24: a=1 n=1
26: a=1 n=1
27: a=1 n=1
28: a=1 n=1 w=3
30: a=1 n=2
`
	err := k.s.Do(context.Background(), func(l *lua.LState) error {
		fn, _, err := k.s.Compile("r.lua", []byte(text))
		if err == nil {
			_, err = k.s.Call(l, fn)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	got := k.out.String()
	if !strings.HasPrefix(got, want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for _, line := range []string{"35: self=table", " p=6 ", " inner=6 r=2 a=1\n", " inner=3 a=1\n"} {
		if !strings.Contains(got, line) {
			t.Errorf("no %q in\n%s", line, got)
		}
	}
}
