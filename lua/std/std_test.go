package std_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"vsl/lua"
	"vsl/lua/language"
	"vsl/lua/std"
	"vsl/tests/fixture"
)

// run gives what a recipe prints.
func run(t testing.TB, ctx context.Context, text string) (string, error) {
	t.Helper()
	var out strings.Builder
	r, err := lua.Load(ctx, "t.lua", []byte("local std = require 'vsl.std'\n"+text), lua.Options{Stdout: &out, Dir: t.TempDir()})
	if err == nil {
		r.Close()
	}
	return strings.TrimSuffix(out.String(), "\n"), err
}

// Each function is documented, and its example gives what it says.
func TestExamples(t *testing.T) {
	for _, h := range language.Helpers() {
		if h.Doc == "" || strings.HasPrefix(h.Sig, "(") && h.Example == "" && h.Name != "utf8.codes" {
			t.Errorf("std.%s has no doc or no example", h.Name)
		}
		if h.Example == "" {
			continue
		}
		expr, want, ok := strings.Cut(h.Example, " --> ")
		got, err := run(t, context.Background(), "print(std.inspect((select(1, "+expr+"))))")
		if !ok || err != nil || got != want {
			t.Errorf("%s: %s, %v", h.Example, got, err)
		}
	}
}

// The catalogue has what the module has, and no more.
func TestMembers(t *testing.T) {
	got, err := run(t, context.Background(), `
local names = {}
for k, v in pairs(std) do
  names[#names + 1] = k
  if type(v) == "table" then for f in pairs(v) do names[#names + 1] = k .. "." .. f end end
end
table.sort(names)
print(table.concat(names, " "))`)
	var want []string
	for _, h := range language.Helpers() {
		want = append(want, h.Name)
	}
	if err != nil || got != strings.Join(want, " ") {
		t.Errorf("vsl.std has\n%s\nthe catalogue\n%s\n%v", got, strings.Join(want, " "), err)
	}
	if len(std.Members()) < 15 {
		t.Errorf("%d members are made in Go", len(std.Members()))
	}
}

func TestCalls(t *testing.T) {
	for expr, want := range map[string]string{
		`std.inspect((function() local t = {} t.t = t return t end)())`:                                      `"{ t = { …itself… } }"`,
		`#std.inspect(("x"):rep(2^21)) < 2^20 + 100`:                                                         `true`,
		`#std.inspect((function() local t = { 1 } for _ = 1, 30 do t = { t, t } end return t end)()) < 2^21`: `true`,
		`std.sha256("")`: `"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"`,

		`std.json.encode({ { a = 1.5 }, -0.5, 2^53, 1e300, true, "\0\n\127é\"" })`: `"[{\"a\":1.5},-0.5,9.007199254740992e+15,1e+300,true,\"\\u0000\\n` + "\x7f" + `é\\\"\"]"`,
		`std.json.encode({ a = { 1, {} }, b = {} }, { indent = 2 })`:               `"{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": {}\n}"`,
		`std.json.encode(std.json.decode("[]"))`:                                   `"[]"`,
		`std.json.encode(std.json.decode("[null,[],{}]"))`:                         `"[null,[],{}]"`,
		`std.json.decode([["\u0041\ud83d\ude00\/\b"]])`:                            `"A😀/` + "\b" + `"`,
		`std.json.decode('{"a":1,"a":2}').a`:                                       `2`,
		`std.json.decode("-0.5e1")`:                                                `-5`,
		`tostring(std.json.null)`:                                                  `"null"`,
		`std.json.null and 1`:                                                      `1`,
		`#std.json.decode("[null,null]")`:                                          `2`,

		`std.base64.encode("")`: `""`,
		`std.base64.decode(std.base64.encode("\0\255\10")) == "\0\255\10"`: `true`,

		`select(2, std.utf8.len("a\255b"))`:             `2`,
		`std.utf8.len("aé", -2)`:                        `1`,
		`std.utf8.len("", 1)`:                           `0`,
		`std.utf8.char()`:                               `""`,
		`select("#", std.utf8.codepoint("aé€", 1, -1))`: `3`,
		`std.utf8.offset("aé€", -1)`:                    `4`,
		`std.utf8.offset("aé€", 0, 5)`:                  `4`,
		`std.utf8.offset("aé€", 5)`:                     `nil`,
		`std.utf8.offset("aé€", 4)`:                     `7`,
		`(function() local n = 0 for at, code in std.utf8.codes("aé€") do n = n + at * code end return n end)()`:   `34019`,
		`std.utf8.valid("é") and not std.utf8.valid("\237\160\128")`:                                               `true`,
		`(function() local n = 0 for _ in ("aé€\0"):gmatch(std.utf8.charpattern) do n = n + 1 end return n end)()`: `4`,
	} {
		got, err := run(t, context.Background(), "print(std.inspect(("+expr+")))")
		if err != nil || got != want {
			t.Errorf("%s: %s, want %s, %v", expr, got, want, err)
		}
	}
}

// Errors are at the recipe's line, name the argument, and say what to do.
func TestErrors(t *testing.T) {
	for expr, want := range map[string]string{
		`std.trim()`:                         `bad argument #1 to 'trim' (string expected, got nil)`,
		`std.map({}, 1)`:                     `bad argument #2 to 'map' (function expected, got number)`,
		`std.merge({}, 1)`:                   `bad argument #2 to 'merge' (table expected, got number)`,
		`std.trimm("")`:                      `std has no "trimm" (did you mean "trim"?)`,
		`std.json.parse("")`:                 `std.json has no "parse"`,
		`std.sha256()`:                       `bad argument #1 to 'sha256' (string expected, got no value)`,
		`std.sha256 {}`:                      `bad argument #1 to 'sha256' (string expected, got table)`,
		`std.inspect()`:                      `bad argument #1 to 'inspect' (value expected)`,
		`std.json.encode({ a = { print } })`: `bad argument #1 to 'encode' (a[1] is a function, which JSON cannot say)`,
		`std.json.encode({ 1, a = 2 })`:      `the table has list items and the key "a"`,
		`std.json.encode({ a = 0/0 })`:       `a is NaN, which JSON cannot say`,
		`std.json.encode("\255")`:            `not UTF-8`,
		`std.json.encode({ ["\255"] = 1 })`:  `a key that is not UTF-8`,
		`std.json.encode((function() local t = {} t.t = t return t end)())`: `nested more than 100 deep, or within itself`,
		`std.json.encode({}, { indnt = 2 })`:                                `bad argument #2 to 'encode' (there is no option "indnt") (did you mean "indent"?)`,
		`std.json.encode({}, { indent = "x" })`:                             `indent is a number of spaces, 0 to 8, not the string "x"`,
		`std.json.decode("[1,\n 2,]")`:                                      `bad argument #1 to 'decode' (line 2, column 4: ']' where a value should be) (no comma comes before ])`,
		`std.json.decode("{a:1}")`:                                          `(line 1, column 2: 'a' where a key should be) (keys are in double quotes)`,
		`std.json.decode("")`:                                               `the text ends where a value should be`,
		`std.json.decode("[1")`:                                             `the end of the text where , or ] should be`,
		`std.json.decode("\"abc")`:                                          `line 1, column 1: the text that begins here does not end`,
		`std.json.decode("01")`:                                             `numbers do not begin with 0`,
		`std.json.decode("1e999")`:                                          `the number is too large for Lua`,
		`std.json.decode("1 2")`:                                            `'2' after the value`,
		`std.json.decode([["\ud800"]])`:                                     `half of a character`,
		`std.json.decode([["\x"]])`:                                         `an escape that JSON does not have`,
		`std.json.decode("\"\255\"")`:                                       `the byte 0xff is not UTF-8`,
		`std.json.decode("'a'")`:                                            `texts are in double quotes`,
		`std.json.decode(("["):rep(101))`:                                   `nested more than 100 deep`,
		`std.json.list(1)`:                                                  `bad argument #1 to 'list' (table expected, got number)`,
		`std.base64.decode("dn Ns")`:                                        `(character 3, " ", is not of Base64) (text:gsub("%s", "") takes spaces`,
		`std.base64.decode("dnN")`:                                          `its length is a multiple of four`,
		`std.base64.decode("dnNt=A==")`:                                     `Base64 that goes wrong at character 5`,
		`std.base64.decode("dnM_")`:                                         `alphabet for URLs`,
		`std.base64.decode("AB==")`:                                         `Base64 that goes wrong`, // bits that are left over
		`std.utf8.char(-1)`:                                                 `bad argument #1 to 'char' (value out of range)`,
		`std.utf8.char(0xd800)`:                                             `bad argument #1 to 'char' (value out of range)`,
		`std.utf8.codepoint("\255")`:                                        `invalid UTF-8 code at byte 1`,
		`std.utf8.codepoint("a", 1, 9)`:                                     `bad argument #3 to 'codepoint' (out of range)`,
		`std.utf8.len("a", 3)`:                                              `bad argument #2 to 'len' (initial position out of string)`,
		`std.utf8.offset("é", 1, 2)`:                                        `initial position is a continuation byte`,
		`std.utf8.offset("é")`:                                              `bad argument #2 to 'offset' (number expected, got no value)`,
		`std.utf8.offset("é", 1.5)`:                                         `number has no integer representation`,
		`(function() for _ in std.utf8.codes("a\255") do end end)()`:        `bad argument #1 to 'codes' (invalid UTF-8 code at byte 2)`,
		`std.semver.parse("v1.2.3")`:                                        `bad argument #1 to 'parse' ("v1.2.3" is not a version) (without the v)`,
		`std.semver.compare("1.2.3", "1.2")`:                                `bad argument #2 to 'compare' ("1.2" is not a version) (it has three numbers`,
		`std.semver.satisfies("1.2.3", ">=1, <2")`:                          `written with a space between`,
		`std.semver.satisfies("1.2.3", "")`:                                 `lacks a version`,
	} {
		_, err := run(t, context.Background(), "\nlocal _ = "+expr)
		if err == nil || !strings.HasPrefix(err.Error(), "t.lua:3: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\n got %v\nwant %s", expr, err, want)
		}
	}
}

// What is large ends with the context.
func TestEndsWithTheContext(t *testing.T) {
	for _, expr := range []string{
		`(function() local t = { 1 } for _ = 1, 60 do t = { t, t } end return std.json.encode(t) end)()`,
		`(function() local s = ("[1],"):rep(2^23) while true do std.json.decode("[" .. s .. "1]") end end)()`,
		`(function() local s = ("x"):rep(2^25) while true do std.sha256(s) end end)()`,
	} {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		begin := time.Now()
		_, err := run(t, ctx, "local _ = "+expr)
		cancel()
		if err == nil || time.Since(begin) > fixture.Patience(3*time.Second) {
			t.Errorf("%s: %v after %s", expr, err, time.Since(begin))
		}
	}
}
