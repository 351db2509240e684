package bind

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	lua "github.com/yuin/gopher-lua"

	"vsl/engine"
)

// table makes a Lua table of pairs.
func table(l *lua.LState, pairs ...any) *lua.LTable {
	t := l.NewTable()
	for i := 0; i < len(pairs); i += 2 {
		var v lua.LValue
		switch e := pairs[i+1].(type) {
		case string:
			v = lua.LString(e)
		case float64:
			v = lua.LNumber(e)
		case bool:
			v = lua.LBool(e)
		case []string:
			list := l.NewTable()
			for _, s := range e {
				list.Append(lua.LString(s))
			}
			v = list
		}
		t.RawSetString(pairs[i].(string), v)
	}
	return t
}

func TestParam(t *testing.T) {
	tests := []struct {
		kind  string
		opts  []any
		given string // "-" is not given
		want  any
		from  string
		err   string
	}{
		{"int", []any{"default", 3.0}, "-", int64(3), "default", ""},
		{"int", []any{"default", 3.0}, "7", int64(7), "-p", ""},
		{"int", []any{"min", 1.0, "max", 9.0}, "10", nil, "-p", "10 is more than 9"},
		{"int", []any{"min", 1.0}, "0", nil, "-p", "0 is less than 1"},
		{"int", nil, "1.5", nil, "-p", `"1.5" is not a whole number`},
		{"int", []any{"doc", "how many"}, "-", nil, "", "has no value and no default: how many"},
		{"int", []any{"default", "x"}, "-", nil, "", "default: must be a whole number"},
		{"int", []any{"default", 0.0, "min", 1.0}, "-", int64(0), "default", "default: 0 is less than 1"},
		{"int", []any{"choices", []string{"1"}}, "1", int64(1), "-p", `unknown key "choices"`},
		{"number", nil, "0.25", 0.25, "-p", ""},
		{"number", nil, "NaN", nil, "-p", `"NaN" is not a number`},
		{"bool", nil, "yes", true, "-p", ""},
		{"bool", nil, "perhaps", nil, "-p", "is not true or false"},
		{"string", []any{"choices", []string{"dev", "prod"}}, "prod", "prod", "-p", ""},
		{"string", []any{"choices", []string{"dev", "prod"}}, "pord", nil, "-p", `"pord" is none of dev, prod (did you mean "prod"?)`},
		{"string", []any{"pattern", "%l+"}, "a1", nil, "-p", `does not match the pattern "%l+"`},
		{"string", nil, "", "", "-p", ""},
		{"list", nil, "a, b,", []string{"a", "b"}, "-p", ""},
		{"list", nil, `["a,b","c"]`, []string{"a,b", "c"}, "-p", ""},
		{"list", nil, "[::1],[::2]", []string{"[::1]", "[::2]"}, "-p", ""},
		{"list", []any{"choices", []string{"a"}}, "a,b", nil, "-p", `"b" is none of a`},
		{"size", []any{"default", "64M"}, "-", int64(64 << 20), "default", ""},
		{"size", []any{"min", "64M"}, "1G", int64(1 << 30), "-p", ""},
		{"size", []any{"min", "64M"}, "1M", nil, "-p", "1M is less than 64M"},
		{"duration", nil, "1m30s", 90.0, "-p", ""},
		{"duration", []any{"default", "10s", "max", "1m"}, "2m", nil, "-p", "2m0s is more than 1m0s"},
		{"ip", nil, "2001:db8::1", "2001:db8::1", "-p", ""},
		{"ip", nil, "198.51.100.0/24", nil, "-p", "is not an address"},
		{"cidr", nil, "198.51.100.0/24", "198.51.100.0/24", "-p", ""},
		{"cidr", nil, "198.51.100.1", nil, "-p", "is not an address range"},
		{"secret", nil, "file:/s/pw", &engine.Secret{File: "/s/pw"}, "-p", ""},
		{"secret", nil, "env:PW", &engine.Secret{Env: "PW"}, "-p", ""},
		{"secret", nil, "hunter2", nil, "-p", "it takes where the secret is, not the secret"},
		{"secret", nil, "-", nil, "", "give it with -p p=file:PATH"},
	}
	l := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer l.Close()
	for _, tt := range tests {
		t.Run(tt.kind+" "+tt.given, func(t *testing.T) {
			d := &Decoder{Matches: func(text, pattern string) (bool, error) {
				return pattern == "%l+" && text == strings.ToLower(text) && !strings.ContainsAny(text, "0123456789"), nil
			}}
			var given *Given
			if tt.given != "-" {
				given = &Given{Text: tt.given, From: "-p"}
			}
			p := d.Param(tt.kind, "p", table(l, tt.opts...), given, false)
			err := errors.Join(d.Errs...)
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Fatalf("error %v, want %q", err, tt.err)
			}
			if err != nil && tt.kind == "secret" && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error tells the secret: %v", err)
			}
			var want any
			if tt.err == "" || tt.want != nil {
				want = tt.want
			} else {
				want = p.Default
			}
			if !reflect.DeepEqual(p.Value, want) || p.From != tt.from {
				t.Errorf("value %#v from %q, want %#v from %q", p.Value, p.From, want, tt.from)
			}
		})
	}
}

func TestParamOptional(t *testing.T) {
	l := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer l.Close()
	d := &Decoder{}
	if p := d.Param("int", "p", l.NewTable(), nil, true); len(d.Errs) > 0 || p.Value != nil || p.From != "" {
		t.Errorf("%+v, errors %v", p, d.Errs)
	}
}

func TestParamWords(t *testing.T) {
	for _, tt := range []struct {
		kind string
		v    any
		want string
	}{
		{"size", int64(256 << 20), "256M"}, {"size", int64(1000), "1000"}, {"size", int64(0), "0"}, {"size", int64(-1), "unlimited"},
		{"duration", 90.0, "1m30s"}, {"number", 0.5, "0.5"}, {"int", int64(1 << 40), "1099511627776"},
		{"list", []string{"a", "b"}, "a,b"}, {"bool", true, "true"}, {"secret", &engine.Secret{Env: "PW"}, "env:PW"},
	} {
		if got := (&Param{Type: tt.kind}).Words(tt.v); got != tt.want {
			t.Errorf("%s %v: %q, want %q", tt.kind, tt.v, got, tt.want)
		}
	}
}
