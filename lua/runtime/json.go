package runtime

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	lua "github.com/yuin/gopher-lua"
)

const (
	// maxNesting bounds how deep tables may nest in JSON.
	maxNesting = 100
	// lookEvery is how many values are read or written between two looks at the context.
	lookEvery = 1 << 10
)

// jsonNull is null: nil cannot stand in a table. Nothing can change it, nor jsonList,
// so that one is enough for all states.
var jsonNull = &lua.LUserData{Value: null{}, Env: &lua.LTable{}, Metatable: sealed(func(t *lua.LTable) {
	t.RawSetString("__tostring", &lua.LFunction{IsG: true, Env: &lua.LTable{}, GFunction: func(l *lua.LState) int {
		l.Push(lua.LString("null"))
		return 1
	}})
})}

type null struct{}

// LuaType names it in errors.
func (null) LuaType() string { return "null of JSON" }

// jsonList is the metatable of tables that are lists also where they are empty.
var jsonList = sealed(func(*lua.LTable) {})

// sealed is a metatable that recipes cannot reach.
func sealed(fill func(*lua.LTable)) *lua.LTable {
	t := &lua.LTable{Metatable: lua.LNil}
	t.RawSetString("__metatable", lua.LFalse)
	fill(t)
	return t
}

// JSONNull is the value that stands for null.
func JSONNull() lua.LValue { return jsonNull }

// MarkJSONList has a table written as a list also while it is empty. It says whether
// it could: a table has one metatable.
func MarkJSONList(t *lua.LTable) bool {
	if t.Metatable != lua.LNil && t.Metatable != lua.LValue(jsonList) {
		return false
	}
	t.Metatable = jsonList
	return true
}

// EncodeJSON writes a value as JSON, objects sorted by their keys, in one line or
// with indent spaces for each level. A table is a list when its keys are 1 to n or it
// is marked as one, and an object when all are strings; an empty one is an object.
// What JSON cannot say (functions, objects, NaN, cycles, both kinds of keys) is an
// error that names the place, as in "hosts[2].port".
func EncodeJSON(ctx context.Context, v lua.LValue, indent int) ([]byte, error) {
	w := &jsonWriter{ctx: ctx, indent: indent}
	if err := w.value(v); err != nil {
		return nil, err
	}
	return w.out, nil
}

type jsonWriter struct {
	ctx    context.Context // may be nil
	out    []byte
	indent int
	path   []lua.LValue // keys that led here
	steps  int
}

func (w *jsonWriter) value(v lua.LValue) error {
	if w.steps++; w.steps%lookEvery == 0 && w.ctx != nil && w.ctx.Err() != nil {
		return context.Cause(w.ctx)
	}
	if len(w.out) > maxString {
		return fmt.Errorf("the text is longer than %d MB", maxString>>20)
	}
	switch v := v.(type) {
	case *lua.LNilType:
		w.out = append(w.out, "null"...)
		return nil
	case lua.LBool:
		w.out = strconv.AppendBool(w.out, bool(v))
		return nil
	case lua.LNumber:
		return w.number(float64(v))
	case lua.LString:
		return w.text(string(v))
	case *lua.LTable:
		if len(w.path) >= maxNesting {
			return fmt.Errorf("%s is nested more than %d deep, or within itself", w.at("the value"), maxNesting)
		}
		return w.table(v)
	}
	if v == lua.LValue(jsonNull) {
		w.out = append(w.out, "null"...)
		return nil
	}
	return fmt.Errorf("%s is a %s, which JSON cannot say", w.at("the value"), v.Type())
}

func (w *jsonWriter) number(n float64) error {
	switch {
	case math.IsNaN(n) || math.IsInf(n, 0):
		return fmt.Errorf("%s is %v, which JSON cannot say", w.at("the value"), n)
	case n == math.Trunc(n) && math.Abs(n) < 1<<53 && (n != 0 || !math.Signbit(n)):
		w.out = strconv.AppendInt(w.out, int64(n), 10)
	default:
		w.out = strconv.AppendFloat(w.out, n, 'g', -1, 64)
	}
	return nil
}

func (w *jsonWriter) text(s string) error {
	if !utf8.ValidString(s) {
		return fmt.Errorf("%s is a string that is not UTF-8, which JSON cannot say", w.at("the value"))
	}
	w.quote(s)
	return nil
}

func (w *jsonWriter) quote(s string) {
	w.out = append(w.out, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			w.out = append(w.out, '\\', c)
		case c >= 0x20:
			w.out = append(w.out, c)
		case strings.IndexByte(controls, c) >= 0:
			w.out = append(w.out, '\\', letters[strings.IndexByte(controls, c)])
		default:
			w.out = fmt.Appendf(w.out, `\u%04x`, c)
		}
	}
	w.out = append(w.out, '"')
}

// controls are the control characters that have an escape of their own, by letters.
const controls, letters = "\b\f\n\r\t", "bfnrt"

func (w *jsonWriter) table(t *lua.LTable) error {
	n, keys := t.Len(), []string(nil)
	for k, _ := t.Next(lua.LNil); k != lua.LNil; k, _ = t.Next(k) {
		switch k := k.(type) {
		case lua.LString:
			keys = append(keys, string(k))
		case lua.LNumber:
			if k < 1 || int(k) > n || float64(int(k)) != float64(k) {
				return fmt.Errorf("%s has the key %v, which JSON cannot say", w.at("the table"), k)
			}
		default:
			return fmt.Errorf("%s has a %s as a key, which JSON cannot say", w.at("the table"), k.Type())
		}
	}
	list := n > 0 || t.Metatable == lua.LValue(jsonList)
	if list && len(keys) > 0 {
		return fmt.Errorf("%s has list items and the key %q, which JSON cannot say of one table", w.at("the table"), slices.Min(keys))
	}
	if list {
		return w.list(t, n)
	}
	return w.object(t, keys)
}

func (w *jsonWriter) list(t *lua.LTable, n int) error {
	w.out = append(w.out, '[')
	for i := 1; i <= n; i++ {
		v := t.RawGetInt(i)
		if v == lua.LNil {
			return fmt.Errorf("%s is a list without an item %d, which JSON cannot say", w.at("the table"), i)
		}
		w.line(i > 1, 1)
		if err := w.inner(lua.LNumber(i), v); err != nil {
			return err
		}
	}
	w.close(n, ']')
	return nil
}

func (w *jsonWriter) object(t *lua.LTable, keys []string) error {
	slices.Sort(keys)
	w.out = append(w.out, '{')
	for i, k := range keys {
		if !utf8.ValidString(k) {
			return fmt.Errorf("%s has a key that is not UTF-8, which JSON cannot say", w.at("the table"))
		}
		w.line(i > 0, 1)
		w.quote(k)
		w.out = append(w.out, ':')
		if w.indent > 0 {
			w.out = append(w.out, ' ')
		}
		if err := w.inner(lua.LString(k), t.RawGetString(k)); err != nil {
			return err
		}
	}
	w.close(len(keys), '}')
	return nil
}

// inner writes what is below a key.
func (w *jsonWriter) inner(key, v lua.LValue) error {
	w.path = append(w.path, key)
	defer func() { w.path = w.path[:len(w.path)-1] }()
	return w.value(v)
}

// line begins an item's line, more levels further in than what is open.
func (w *jsonWriter) line(comma bool, more int) {
	if comma {
		w.out = append(w.out, ',')
	}
	if w.indent > 0 {
		w.out = append(w.out, '\n')
		w.out = append(w.out, strings.Repeat(" ", w.indent*(len(w.path)+more))...)
	}
}

func (w *jsonWriter) close(items int, bracket byte) {
	if items > 0 {
		w.line(false, 0)
	}
	w.out = append(w.out, bracket)
}

// at is the place of a value, or what the outermost is called.
func (w *jsonWriter) at(outermost string) string {
	var b strings.Builder
	for i, k := range w.path {
		switch k := k.(type) {
		case lua.LNumber:
			fmt.Fprintf(&b, "[%v]", k)
		case lua.LString:
			if i > 0 {
				b.WriteByte('.')
			}
			b.WriteString(string(k))
		}
	}
	if b.Len() == 0 {
		return outermost
	}
	return b.String()
}
