package stdlib_test

import (
	"context"
	"io/fs"
	"strings"
	"testing"

	"vsl/lua"
	"vsl/stdlib"
)

func TestStd(t *testing.T) {
	for expr, want := range map[string]string{
		`std.trim("  a b ")`:                                                                 "a b",
		`table.concat(std.lines("a\r\nb\n\nc\n"), "|")`:                                      "a|b||c",
		`#std.lines("")`:                                                                     "1",
		`table.concat(std.split("a..b..", ".."), "|")`:                                       "a|b|",
		`#std.split("abc", "")`:                                                              "1",
		`std.startswith("abc", "ab")`:                                                        "true",
		`std.endswith("abc", "bc")`:                                                          "true",
		`std.endswith("abc", "")`:                                                            "true",
		`table.concat(std.map({ 1, 2 }, function(n) return n * 2 end), "|")`:                 "2|4",
		`std.merge({ a = 1, b = 1 }, { b = 2 }).b`:                                           "2",
		`table.concat(std.filter({ 1, 2, 3 }, function(n) return n ~= 2 end), "|")`:          "1|3",
		`table.concat(std.keys { b = 1, a = 2, c = 3 }, "|")`:                                "a|b|c",
		`#std.keys { 1, x = 2 }`:                                                             "2",
		`#std.keys {}`:                                                                       "0",
		`std.contains({ 1, "a" }, "a")`:                                                      "true",
		`std.contains({ 1, "a" }, 2)`:                                                        "false",
		`std.deep_equal({ 1, { a = 2 } }, { 1, { a = 2 } })`:                                 "true",
		`std.deep_equal({ 1, { a = 2 } }, { 1, { a = 3 } })`:                                 "false",
		`std.deep_equal({ a = 1 }, { a = 1, b = 2 })`:                                        "false",
		`std.deep_equal({ a = 1, b = 2 }, { a = 1 })`:                                        "false",
		`(function() local a, b = {}, {} a.x, b.x = a, b return std.deep_equal(a, b) end)()`: "true",
		`(function() local a, b = {}, {} for _ = 1, 40 do a, b = { a, a }, { b, b } end return std.deep_equal(a, b) end)()`: "true",
		`(function() local s = {} return std.deep_equal({ s, s }, { {}, { 1 } }) end)()`:                                    "false",
		`std.shell_quote("it's")`: `'it'\''s'`,
	} {
		var out strings.Builder
		src := "local std = require 'vsl.std'\nprint((" + expr + "))"
		r, err := lua.Load(context.Background(), "t.lua", []byte(src), lua.Options{Stdout: &out, Dir: t.TempDir()})
		if err != nil {
			t.Errorf("%s: %v", expr, err)
			continue
		}
		r.Close()
		if got := strings.TrimSuffix(out.String(), "\n"); got != want {
			t.Errorf("%s = %q, want %q", expr, got, want)
		}
	}
}

// Every module loads, and uses no global that is not there.
func TestModulesLoad(t *testing.T) {
	files, err := fs.Glob(stdlib.FS, "vsl/*.lua")
	if err != nil || len(files) < 2 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		name := strings.ReplaceAll(strings.TrimSuffix(f, ".lua"), "/", ".")
		r, err := lua.Load(context.Background(), "t.lua", []byte(`assert(type(require "`+name+`") == "table")`), lua.Options{Dir: t.TempDir()})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		r.Close()
	}
}
