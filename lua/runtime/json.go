package runtime

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"unicode/utf8"

	lua "github.com/yuin/gopher-lua"
)

// maxNesting bounds how deep tables may nest in JSON.
const maxNesting = 100

// EncodeJSON writes a value as JSON. A table is a list when its keys are 1 to n,
// and an object when all are strings; an empty one is an object. What JSON cannot
// say (functions, objects, NaN, cycles, both kinds of keys) is an error that names
// the place, as in "hosts[2].port".
func EncodeJSON(v lua.LValue) ([]byte, error) {
	generic, err := toGo(v, "", 0)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(generic); err != nil {
		return nil, err
	}
	return bytes.TrimRight(out.Bytes(), "\n"), nil
}

// DecodeJSON makes plain Lua data of JSON; null is nil.
func DecodeJSON(l *lua.LState, data []byte) (lua.LValue, error) {
	var generic any
	if err := json.Unmarshal(data, &generic); err != nil {
		return lua.LNil, err
	}
	return FromGo(l, generic), nil
}

func toGo(v lua.LValue, path string, depth int) (any, error) {
	at := path
	if at == "" {
		at = "the value"
	}
	switch v := v.(type) {
	case *lua.LNilType:
		return nil, nil
	case lua.LBool:
		return bool(v), nil
	case lua.LNumber:
		n := float64(v)
		if math.IsNaN(n) || math.IsInf(n, 0) {
			return nil, fmt.Errorf("%s is %v, which JSON cannot say", at, n)
		}
		if n == math.Trunc(n) && math.Abs(n) < 1<<53 {
			return int64(n), nil
		}
		return n, nil
	case lua.LString:
		if !utf8.ValidString(string(v)) {
			return nil, fmt.Errorf("%s is a string that is not UTF-8, which JSON cannot say", at)
		}
		return string(v), nil
	case *lua.LTable:
		if depth >= maxNesting {
			return nil, fmt.Errorf("%s is nested more than %d deep, or within itself", at, maxNesting)
		}
		return tableToGo(v, path, depth)
	}
	return nil, fmt.Errorf("%s is a %s, which JSON cannot say", at, v.Type())
}

func tableToGo(t *lua.LTable, path string, depth int) (any, error) {
	n, keys := t.Len(), []string{}
	for k, _ := t.Next(lua.LNil); k != lua.LNil; k, _ = t.Next(k) {
		switch k := k.(type) {
		case lua.LString:
			keys = append(keys, string(k))
		case lua.LNumber:
			if k < 1 || int(k) > n || float64(int(k)) != float64(k) {
				return nil, fmt.Errorf("%s has the key %v, which JSON cannot say", orTable(path), k)
			}
		default:
			return nil, fmt.Errorf("%s has a %s as a key, which JSON cannot say", orTable(path), k.Type())
		}
	}
	if n > 0 && len(keys) > 0 {
		return nil, fmt.Errorf("%s has list items and the key %q, which JSON cannot say of one table", orTable(path), slices.Min(keys))
	}
	if n > 0 {
		list := make([]any, n)
		for i := range list {
			if t.RawGetInt(i+1) == lua.LNil {
				return nil, fmt.Errorf("%s is a list without an item %d, which JSON cannot say", orTable(path), i+1)
			}
			var err error
			if list[i], err = toGo(t.RawGetInt(i+1), fmt.Sprintf("%s[%d]", path, i+1), depth+1); err != nil {
				return nil, err
			}
		}
		return list, nil
	}
	object := make(map[string]any, len(keys))
	for _, k := range keys {
		inner := k
		if path != "" {
			inner = path + "." + k
		}
		var err error
		if object[k], err = toGo(t.RawGetString(k), inner, depth+1); err != nil {
			return nil, err
		}
	}
	return object, nil
}

func orTable(path string) string {
	if path == "" {
		return "the table"
	}
	return path
}

// FromGo makes plain Lua data of what encoding/json decodes into an any.
func FromGo(l *lua.LState, v any) lua.LValue {
	switch v := v.(type) {
	case bool:
		return lua.LBool(v)
	case float64:
		return lua.LNumber(v)
	case string:
		return lua.LString(v)
	case []any:
		t := l.NewTable()
		for _, e := range v {
			t.Append(FromGo(l, e))
		}
		return t
	case map[string]any:
		t := l.NewTable()
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for _, k := range keys {
			t.RawSetString(k, FromGo(l, v[k]))
		}
		return t
	}
	return lua.LNil
}
