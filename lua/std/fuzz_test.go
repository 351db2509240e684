package std_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	glua "github.com/yuin/gopher-lua"

	"vsl/lua/runtime"
	"vsl/lua/std"
	"vsl/stdlib"
)

// state is one to read JSON into.
func state(t testing.TB) *glua.LState {
	l := glua.NewState(glua.Options{SkipOpenLibs: true})
	t.Cleanup(l.Close)
	return l
}

// FuzzJSON compares with encoding/json: what is read here is JSON there, written it
// means the same, and what only encoding/json reads is refused for a known reason.
func FuzzJSON(f *testing.F) {
	for _, text := range []string{`{"a":[1,-0,2.5e-3,null,true,"\u00e9\ud83d\ude00"],"b":{}}`, `[[],{}]`, ` "x" `, `[1,]`, `{"a":1,"a":2}`, `1e400`, `"\ud800"`, "\"\xff\""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := runtime.DecodeJSON(state(t), text, runtime.JSONNull())
		if err != nil {
			known := strings.Contains(err.Error(), "too large") || strings.Contains(err.Error(), "not UTF-8") || strings.Contains(err.Error(), "half of") || strings.Contains(err.Error(), "deep")
			if json.Valid([]byte(text)) && !known || !strings.HasPrefix(err.Error(), "line ") {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		var want, got any
		if err := json.Unmarshal([]byte(text), &want); err != nil {
			t.Fatalf("%q is not JSON: %v", text, err)
		}
		for _, indent := range []int{0, 3} {
			out, err := runtime.EncodeJSON(context.Background(), v, indent)
			if err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			if err := json.Unmarshal(out, &got); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%q became %q: %v", text, out, err)
			}
		}
	})
}

// function gives the function that a chunk returns, to call in a state of its own.
func function(f *testing.F, text string) func(args ...glua.LValue) (glua.LValue, error) {
	s := runtime.New(runtime.Options{Stdlib: stdlib.FS})
	f.Cleanup(s.Close)
	std.Register(s)
	var fn *glua.LFunction
	err := s.Do(context.Background(), func(l *glua.LState) error {
		chunk, _, err := s.Compile("fuzz.lua", []byte(text))
		if err != nil {
			return err
		}
		got, err := s.Call(l, chunk)
		if err == nil {
			fn = got[0].(*glua.LFunction)
		}
		return err
	})
	if err != nil {
		f.Fatal(err)
	}
	return func(args ...glua.LValue) (out glua.LValue, err error) {
		err = s.Do(context.Background(), func(l *glua.LState) error {
			got, err := s.Call(l, fn, args...)
			if err == nil {
				out = got[0]
			}
			return err
		})
		return out, err
	}
}

// FuzzText puts any bytes through base64 and utf8, in one state.
func FuzzText(f *testing.F) {
	f.Add("aé€", "dnNs", 1)
	f.Add("\xff\x80", "dn\n==", -3)
	s := `
local std = require "vsl.std"
return function(text, b64, n)
  assert(std.base64.decode(std.base64.encode(text)) == text)
  local ok, raw = pcall(std.base64.decode, b64)
  if ok then assert(std.base64.encode(raw) == b64) end
  local length, at = std.utf8.len(text)
  assert((length ~= nil) == std.utf8.valid(text))
  if length and length < 5000 then
    assert(std.utf8.char(std.utf8.codepoint(text, 1, -1)) == text)
    local codes = 0
    for from, code in std.utf8.codes(text) do
      codes = codes + 1
      assert(std.utf8.offset(text, codes) == from and std.utf8.codepoint(text, from) == code)
      assert(std.utf8.offset(text, codes - length - 1) == from)
    end
    assert(codes == length)
  elseif not length then
    assert(at >= 1 and at <= #text)
    assert(not pcall(function() for _ in std.utf8.codes(text) do end end))
  end
  pcall(std.utf8.offset, text, n, n)
  pcall(std.utf8.codepoint, text, n, -n)
  pcall(std.utf8.len, text, n, n)
  return ok
end`
	call := function(f, s)
	f.Fuzz(func(t *testing.T, text, b64 string, n int) {
		got, err := call(glua.LString(text), glua.LString(b64), glua.LNumber(n%100))
		if err != nil {
			t.Fatalf("%q %q %d: %v", text, b64, n, err)
		}
		_, want := base64.StdEncoding.Strict().DecodeString(b64)
		if bool(got.(glua.LBool)) != (want == nil && !strings.ContainsAny(b64, "\r\n")) {
			t.Errorf("base64 %q: %v, Go has %v", b64, got, want)
		}
	})
}
