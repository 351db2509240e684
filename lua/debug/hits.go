package debug

import (
	"fmt"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/parse"

	"vsl/lua/bind"
	"vsl/lua/runtime"
)

// Hits says at which of the times that a breakpoint is reached it stops. The zero
// value is at each.
type Hits struct {
	op string
	n  int
}

var hitsText = bind.LazyRE(`^(==|=|>=|>|%)?\s*(\d{1,9})$`)

// ParseHits reads "3" or "== 3", ">= 3", "> 3" and "% 3", which is each third time.
func ParseHits(text string) (Hits, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return Hits{}, nil
	}
	m := hitsText().FindStringSubmatch(text)
	if m == nil {
		return Hits{}, fmt.Errorf("%q is no number of hits: write 3, >= 3, > 3 or %% 3", text)
	}
	n, err := strconv.Atoi(m[2])
	if err != nil || n < 1 {
		return Hits{}, fmt.Errorf("%s is no number of hits: the first is 1", m[2])
	}
	if m[1] == "" || m[1] == "=" {
		m[1] = "=="
	}
	return Hits{m[1], n}, nil
}

func (h Hits) at(count int) bool {
	switch h.op {
	case "==":
		return count == h.n
	case ">=":
		return count >= h.n
	case ">":
		return count > h.n
	case "%":
		return count%h.n == 0
	}
	return true
}

// hits are the numbers of the breakpoints that match and stop, and what to say of
// it; those with a message print it. entry is the level of a function yet to be
// called, or nil.
func (c *Controller) hits(l *lua.LState, entry *runtime.Level, match func(*Break) bool) (stops []int, why string) {
	c.mu.Lock()
	var at []*Break
	for _, b := range c.breaks {
		if match(b) {
			at = append(at, b)
		}
	}
	c.mu.Unlock()
	if at == nil {
		return nil, ""
	}
	level := entry
	if level == nil {
		levels := c.state(l).Levels(l)
		if len(levels) == 0 {
			return nil, ""
		}
		level = levels[0]
	}
	done, ok := c.take(l)
	if !ok {
		return nil, ""
	}
	defer done()
	for _, b := range at {
		ok, err := c.holds(l, level, b)
		if err != nil { // it stops: who wrote the condition wants to know
			why = ", whose condition failed: " + err.Error()
		} else if !ok {
			continue
		}
		b.count++ // only by who is stopped
		switch {
		case !b.Hits.at(b.count):
		case b.Log == "":
			stops = append(stops, b.ID)
		case c.Log != nil:
			c.Log(flowOf(l), level.Pos, c.message(l, level, b.Log))
		}
	}
	return stops, why
}

// CheckCondition finds mistakes in how a condition is written.
func CheckCondition(text string) error {
	if _, err := parse.Parse(strings.NewReader("return "+text), "condition"); err != nil {
		return fmt.Errorf("%q is no expression of Lua", text)
	}
	return nil
}

// holds evaluates a breakpoint's condition.
func (c *Controller) holds(l *lua.LState, v *runtime.Level, b *Break) (bool, error) {
	if b.If == "" {
		return true, nil
	}
	got, err := c.state(l).EvalAt(l, v, b.If)
	return len(got) > 0 && lua.LVAsBool(got[0]), err
}

// message puts the values of {expressions} into a text.
func (c *Controller) message(l *lua.LState, v *runtime.Level, text string) string {
	s := &Stop{c: c, l: l}
	var out strings.Builder
	for text != "" {
		before, rest, open := strings.Cut(text, "{")
		expr, after, closed := strings.Cut(rest, "}")
		out.WriteString(before)
		switch {
		case !open:
			return out.String()
		case !closed:
			return out.String() + "{" + rest
		}
		got, err := c.state(l).EvalAt(l, v, expr)
		switch {
		case err != nil:
			out.WriteString("{error: " + err.Error() + "}")
		case len(got) == 0:
			out.WriteString("nil")
		default:
			if str, ok := got[0].(lua.LString); ok {
				out.WriteString(string(str))
			} else {
				out.WriteString(s.Value(got[0]))
			}
		}
		text = after
	}
	return out.String()
}

// Verified is a breakpoint's own, while flows run. read says whether a text of its
// file was read.
func (c *Controller) Verified(b *Break) (line int, ok, read bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	line, ok = b.Verified()
	return line, ok, b.files != nil
}
