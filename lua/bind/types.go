package bind

import (
	"fmt"
	"math"

	lua "github.com/yuin/gopher-lua"
)

// want is the error for a value of the wrong kind.
func want(t string, v lua.LValue) error {
	return &Error{Msg: "must be " + t + ", not " + Describe(v)}
}

// The types of single values.
var (
	String   = &Type{Name: "string", Want: "a string", Conv: convString}
	Bool     = &Type{Name: "boolean", Want: "true or false", Conv: convBool}
	Int      = &Type{Name: "integer", Want: "a whole number", Conv: convInt}
	Number   = &Type{Name: "number", Want: "a number", Conv: convNumber}
	Size     = &Type{Name: "size", Want: `a size, such as "256M"`, Conv: convSize}
	Count    = &Type{Name: "count", Want: `a whole number or "unlimited"`, Conv: convCount}
	Duration = &Type{Name: "duration", Want: `a duration, such as "10s"`, Conv: convDuration}
	CPU      = &Type{Name: "cpu", Want: `cores, such as 0.5, or "50%"`, Conv: convCPU}
	Strings  = &Type{Name: "list of strings", Want: "a list of strings", Conv: convStrings}
	Argv     = &Type{Name: "command", Want: `a command, such as { "/sbin/init" }`, Conv: convArgv}
	Command  = &Type{Name: "command", Want: `a command, such as { "/usr/sbin/nginx", "-g", "daemon off;" }, or a string for /bin/sh`, Conv: convCommand}
	Map      = &Type{Name: "map of strings", Want: "a table of names and values", Conv: convMap}
	Func     = &Type{Name: "function", Want: "a function", Conv: convFunc}
)

func convString(_ *Decoder, _ Place, v lua.LValue) (any, error) {
	if s, ok := v.(lua.LString); ok {
		return string(s), nil
	}
	return nil, want("a string", v)
}

func convBool(_ *Decoder, _ Place, v lua.LValue) (any, error) {
	if b, ok := v.(lua.LBool); ok {
		return bool(b), nil
	}
	return nil, want("true or false", v)
}

func convInt(_ *Decoder, _ Place, v lua.LValue) (any, error) {
	n, ok := v.(lua.LNumber)
	if !ok || float64(n) != math.Trunc(float64(n)) || math.Abs(float64(n)) > 1<<53 {
		return nil, want("a whole number", v)
	}
	return int64(n), nil
}

func convNumber(_ *Decoder, _ Place, v lua.LValue) (any, error) {
	n, ok := v.(lua.LNumber)
	if !ok || math.IsNaN(float64(n)) || math.IsInf(float64(n), 0) {
		return nil, want("a number", v)
	}
	return float64(n), nil
}

func convSize(_ *Decoder, _ Place, v lua.LValue) (any, error) {
	switch v := v.(type) {
	case lua.LNumber:
		if v == -1 {
			return nil, fmt.Errorf(`-1 is not a size in bytes: write "unlimited"`)
		}
		if !(v >= 0 && v < 1<<62) {
			return nil, fmt.Errorf("%s is not a size in bytes", v)
		}
		return int64(v), nil
	case lua.LString:
		n, err := ParseSize(string(v))
		return n, err
	}
	return nil, want(`a size, such as "256M"`, v)
}

func convCount(d *Decoder, at Place, v lua.LValue) (any, error) {
	if v == lua.LString("unlimited") {
		return int64(-1), nil
	}
	n, err := convInt(d, at, v)
	if err != nil {
		return nil, want(`a whole number or "unlimited"`, v)
	}
	if n.(int64) < 0 {
		return nil, fmt.Errorf(`%d is negative: no limit is written "unlimited"`, n)
	}
	return n, nil
}

func convDuration(_ *Decoder, _ Place, v lua.LValue) (any, error) {
	switch v := v.(type) {
	case lua.LNumber:
		d, err := seconds(float64(v))
		return d, err
	case lua.LString:
		d, err := ParseDuration(string(v))
		return d, err
	}
	return nil, want(`a duration, such as "10s"`, v)
}

func convCPU(_ *Decoder, _ Place, v lua.LValue) (any, error) {
	switch v := v.(type) {
	case lua.LNumber:
		n := float64(v)
		if n == -1 {
			return nil, fmt.Errorf(`-1 is not an amount of cores: write "unlimited"`)
		}
		if !(n > 0 && n <= 1<<20) {
			return nil, fmt.Errorf("%v is not an amount of cores", n)
		}
		return n, nil
	case lua.LString:
		n, err := ParseCPU(string(v))
		return n, err
	}
	return nil, want(`cores, such as 0.5, or "50%"`, v)
}

// convStrings accepts one string as a list of one.
func convStrings(d *Decoder, at Place, v lua.LValue) (any, error) {
	if s, ok := v.(lua.LString); ok {
		return []string{string(s)}, nil
	}
	t, ok := v.(*lua.LTable)
	if !ok {
		return nil, want("a string or a list of strings", v)
	}
	out, bad := []string{}, false
	n := t.Len()
	Each(t, func(k, e lua.LValue) {
		i, isNum := k.(lua.LNumber)
		if !isNum || i < 1 || int(i) > n {
			d.Failf(at, "", "must be a list; it has the key %s", k)
			bad = true
			return
		}
		here := at.item(int(i))
		here.Pos = d.where(t, k, at.Pos)
		switch e := e.(type) {
		case lua.LString:
			out = append(out, string(e))
		case lua.LNumber:
			out = append(out, e.String())
		default:
			if bad = true; !isBad(e) {
				d.Failf(here, "", "must be a string, not %s", Describe(e))
			}
		}
	})
	if bad {
		return nil, errSilent
	}
	return out, nil
}

func convArgv(d *Decoder, at Place, v lua.LValue) (any, error) {
	out, err := convStrings(d, at, v)
	if err != nil {
		return nil, err
	}
	if argv := out.([]string); len(argv) == 0 || argv[0] == "" {
		return nil, fmt.Errorf("is empty")
	}
	return out, nil
}

var singleWord = LazyRE(`^[\w./+@%-]+$`)

// convCommand hands a string to a shell, unless it is a single word, which that
// would only look up and run.
func convCommand(d *Decoder, at Place, v lua.LValue) (any, error) {
	if s, ok := v.(lua.LString); ok && s != "" && !singleWord().MatchString(string(s)) {
		return []string{"/bin/sh", "-c", string(s)}, nil
	}
	return convArgv(d, at, v)
}

func convMap(d *Decoder, at Place, v lua.LValue) (any, error) {
	t, ok := v.(*lua.LTable)
	if !ok {
		return nil, want("a table of names and values", v)
	}
	out, bad := map[string]string{}, false
	wrong := func(here Place, _ lua.LValue) {
		d.Failf(here, "write NAME = \"value\"", "a value without a name")
		bad = true
	}
	anyName := func(string) bool { return true }
	d.eachNamed(t, at, anyName, wrong, func(here Place, name string, e lua.LValue) {
		switch e := e.(type) {
		case lua.LString, lua.LNumber, lua.LBool:
			out[name] = e.String()
		default:
			if bad = true; !isBad(e) {
				d.Failf(here, "", "must be a string, not %s", Describe(e))
			}
		}
	})
	if bad {
		return nil, errSilent
	}
	return out, nil
}

func convFunc(_ *Decoder, _ Place, v lua.LValue) (any, error) {
	if f, ok := v.(*lua.LFunction); ok {
		return f, nil
	}
	return nil, want("a function", v)
}

// Choice is a string out of a few.
func Choice(names ...string) *Type {
	text := ""
	for i, n := range names {
		switch {
		case i > 0 && i == len(names)-1:
			text += " or "
		case i > 0:
			text += ", "
		}
		text += fmt.Sprintf("%q", n)
	}
	return &Type{Name: text, Want: text, Names: names, Conv: func(_ *Decoder, _ Place, v lua.LValue) (any, error) {
		s, ok := v.(lua.LString)
		if ok {
			for _, n := range names {
				if string(s) == n {
					return n, nil
				}
			}
		}
		return nil, &Error{Msg: "must be " + text + ", not " + Describe(v), Hint: DidYouMean(string(s), names)}
	}}
}

// Object is a table with keys of its own; it converts to Values.
func Object(s *Schema) *Type {
	return &Type{Name: "table", Want: "a table", Sub: s, Conv: func(d *Decoder, at Place, v lua.LValue) (any, error) {
		t, ok := v.(*lua.LTable)
		if !ok {
			return nil, want("a table", v)
		}
		return d.Table(s, at, t), nil
	}}
}

// ListOf is a list of tables with keys of their own; it converts to []Values.
func ListOf(s *Schema) *Type {
	return &Type{Name: "list of tables", Want: "a list of tables", Sub: s, Form: Items, Conv: func(d *Decoder, at Place, v lua.LValue) (any, error) {
		t, ok := v.(*lua.LTable)
		if !ok {
			return nil, want("a list of tables", v)
		}
		out := []Values{}
		n := t.Len()
		Each(t, func(k, e lua.LValue) {
			i, isNum := k.(lua.LNumber)
			here := at
			here.Pos = d.where(t, k, at.Pos)
			sub, isTable := e.(*lua.LTable)
			switch {
			case isBad(e) || isBad(k):
			case !isNum || i < 1 || int(i) > n:
				d.Failf(here, "write { { … }, { … } }", "must be a list of tables; it has the key %s", k)
			case !isTable:
				d.Failf(here.item(int(i)), "", "must be a table, not %s", Describe(e))
			default:
				out = append(out, d.Table(s, here.item(int(i)), sub))
			}
		})
		return out, nil
	}}
}

// inRange checks whole numbers.
func inRange(lo, hi int64) func(any) error {
	return func(v any) error {
		if n, ok := v.(int64); ok && (n < lo || n > hi) {
			return fmt.Errorf("%d is not between %d and %d", n, lo, hi)
		}
		return nil
	}
}
