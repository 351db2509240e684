package lua

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"vsl/engine"
	"vsl/engine/enginetest"
)

// What flows are written with: their results, their errors, and what the engine saw.
func TestWords(t *testing.T) {
	for _, c := range []struct {
		name, body string
		out        string // printed
		err        string // "" is success
	}{
		{"defer runs the last first, at the end", `defer(function() print "a" end) defer(function() print "b" end) print "flow"`, "flow\nb\na\n", ""},
		{"defer runs after a failure", `defer(function() print "clean" end) error("no")`, "clean\n", "recipe.lua:2: no"},
		{"a deferred function that fails is an error, and the others run",
			`defer(function() print "last" end) defer(function() error("bad") end)`, "last\n", "deferred: recipe.lua:2: bad"},
		{"defer in a coroutine belongs to the flow", `coroutine.wrap(function() defer(function() print "end" end) end)() print "flow"`, "flow\nend\n", ""},
		{"timeout gives what its function gives", `print(timeout("5s", function() return 1, 2 end))`, "1\t2\n", ""},
		{"timeout ends what waits", `timeout("20ms", function() sleep("1m") end)`, "", "it took longer than 20ms"},
		{"timeout ends what runs", `timeout("20ms", function() while true do end end)`, "", "it took longer than 20ms"},
		{"a timeout can be caught, and the flow goes on", `print((pcall(timeout, "10ms", function() sleep(60) end))) print "on"`, "false\non\n", ""},
		{"its function cannot catch it", `timeout("10ms", function() while true do pcall(sleep, "1m") end end)`, "", "it took longer than 10ms"},
		{"retry until it works", `local n = 0
print(retry { delay = "1ms", function() n = n + 1 if n < 3 then error("not yet") end return n end })`, "3\n", ""},
		{"retry gives up with the last error", `local n = 0 retry { attempts = 2, delay = 0, function() n = n + 1 error("no " .. n) end }`, "", "recipe.lua:2: no 2"},
		{"retry within a time", `retry { attempts = 1000, delay = "5ms", backoff = 1, within = "30ms", function() error("no") end }`, "", "retry: no success within 30ms"},
		{"parallel gives the values in order", `print(parallel { function() sleep("20ms") return "a" end, function() return "b" end })`, "a\tb\n", ""},
		{"parallel waits together", `local begin = {} parallel {
  function() begin[1] = true while not begin[2] do sleep("1ms") end end,
  function() begin[2] = true while not begin[1] do sleep("1ms") end end }  print "met"`, "met\n", ""},
		{"a failure stops the others", `parallel { function() sleep("1m") end, function() error("no") end }`, "", "recipe.lua:2: no"},
		{"unless they are to go on", `parallel { keep_going = true, function() sleep("20ms") print "done" end, function() error("no") end }`, "done\n", "recipe.lua:2: no"},
		{"limit bounds how many run", `local n, most = 0, 0
local function f() n = n + 1 most = math.max(n, most) sleep("2ms") n = n - 1 end
parallel { limit = 2, f, f, f, f, f } print(most)`, "2\n", ""},
		{"parallel of nothing", `parallel {} print "none"`, "none\n", ""},
		{"a word in a word", `print(timeout("1m", function() return parallel { function() return retry { function() return "deep" end } end } end))`, "deep\n", ""},
		{"wrong arguments", `timeout("soon", function() end)`, "", `timeout: "soon" is not a duration`},
		{"wrong arguments of retry", `retry { atempts = 3, function() end }`, "", `unknown key "atempts"`},
		{"no function", `retry { attempts = 3 }`, "", "retry must be given one function, not 0"},
		{"no functions", `parallel { 1 }`, "", "must be a function"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out strings.Builder
			_, err := boot(t, context.Background(), "guest \"web\" { boot = function(g)\n"+c.body+"\nend }", Options{Stdout: &out}, nil)
			if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("error %v, want %q", err, c.err)
			}
			if out.String() != c.out {
				t.Errorf("printed %q, want %q", out.String(), c.out)
			}
		})
	}
}

// An error of the engine is itself after any of the words, and names the line
// inside and the lines it came by.
func TestWordsKeepErrors(t *testing.T) {
	failure := &engine.OpError{Op: "run", Target: "x", Err: errors.New("no")}
	for _, body := range []string{
		"parallel { function()\ng:exec { \"x\" } end }",
		"retry { attempts = 1, function()\ng:exec { \"x\" } end }",
		"timeout(\"1m\", function()\ng:exec { \"x\" } end)",
	} {
		_, err := boot(t, context.Background(), "guest \"web\" { boot = function(g)\n"+body+"\nend }", Options{}, func(e *enginetest.Engine) {
			e.Fail = func(call string) error { return failure }
		})
		var re *RuntimeError
		if !errors.Is(err, failure) || !errors.As(err, &re) || re.Pos.Line != 3 || len(re.Traceback) < 2 || re.Traceback[1].Pos.Line != 2 {
			t.Errorf("%s: %v %+v", body, err, re)
		}
	}
}

// A flow that is cancelled ends in each of the words, whatever it catches, and
// what it deferred is done.
func TestWordsCancelled(t *testing.T) {
	for _, body := range []string{
		`sleep("1m")`,
		`parallel { function() sleep("1m") end, function() while true do end end }`,
		`retry { delay = "1m", function() error("no") end }`,
		`while true do pcall(timeout, "1m", function() sleep("1m") end) end`,
	} {
		var out strings.Builder
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
		_, err := boot(t, ctx, `guest "web" { boot = function(g) defer(function() sleep(0) print "clean" end) `+body+` end }`, Options{Stdout: &out}, nil)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || out.String() != "clean\n" {
			t.Errorf("%s: %v, printed %q", body, err, out.String())
		}
	}
}

// While a recipe is read nothing may wait or run.
func TestWordsWhileReading(t *testing.T) {
	for _, text := range []string{`sleep(1)`, `defer(print)`, `parallel {}`} {
		if _, _, err := load(t, text, Options{}); err == nil || !strings.Contains(err.Error(), "can only be called inside a flow") {
			t.Errorf("%s: %v", text, err)
		}
	}
}
