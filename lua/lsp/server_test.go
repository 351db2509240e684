package lsp

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vsl/lua/internal/frame"
	"vsl/lua/modules"
	"vsl/tests/fixture"
)

// client is an editor over a pair of pipes.
type client struct {
	t    *testing.T
	out  io.WriteCloser
	in   chan map[string]any
	id   int
	done chan error
}

// newClient starts a session; it is ended with the test.
func newClient(t *testing.T) *client {
	t.Helper()
	serverIn, out := io.Pipe()
	in, serverOut := io.Pipe()
	c := &client{t: t, out: out, in: make(chan map[string]any, 100), done: make(chan error, 1)}
	go func() {
		c.done <- (&Server{In: serverIn, Out: serverOut, Version: "test"}).Serve(t.Context())
		serverOut.Close()
	}()
	go func() {
		r := bufio.NewReader(in)
		for {
			data, err := frame.Read(r)
			if err != nil {
				close(c.in)
				return
			}
			var m map[string]any
			if json.Unmarshal(data, &m) == nil {
				c.in <- m
			}
		}
	}()
	t.Cleanup(func() { out.Close() })
	return c
}

func ready(t *testing.T) *client {
	c := newClient(t)
	if got := c.ask("initialize", map[string]any{"capabilities": map[string]any{}}); got["capabilities"].(map[string]any)["hoverProvider"] != true {
		t.Fatal(got)
	}
	c.tell("initialized", map[string]any{})
	return c
}

func (c *client) send(m map[string]any) {
	m["jsonrpc"] = "2.0"
	if err := frame.Write(c.out, m); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) tell(method string, params any) {
	c.send(map[string]any{"method": method, "params": params})
}

// next gives the next message that fits.
func (c *client) next(what string, fits func(map[string]any) bool) map[string]any {
	c.t.Helper()
	end := time.After(fixture.Patience(20 * time.Second))
	for {
		select {
		case m, ok := <-c.in:
			if !ok {
				c.t.Fatalf("the server ended while %s was waited for", what)
			}
			if fits(m) {
				return m
			}
		case <-end:
			c.t.Fatalf("no %s came", what)
		}
	}
}

func (c *client) raw(method string, params any) map[string]any {
	c.t.Helper()
	c.id++
	id := float64(c.id)
	c.send(map[string]any{"id": c.id, "method": method, "params": params})
	return c.next("answer to "+method, func(m map[string]any) bool { return m["id"] == id })
}

func (c *client) ask(method string, params any) map[string]any {
	c.t.Helper()
	m := c.raw(method, params)
	if m["error"] != nil {
		c.t.Fatalf("%s: %v", method, m["error"])
	}
	got, _ := m["result"].(map[string]any)
	return got
}

func (c *client) open(uri, text string) {
	c.tell("textDocument/didOpen", map[string]any{"textDocument": map[string]any{"uri": uri, "languageId": "lua", "version": 1, "text": text}})
}

// edit changes a range, or with a nil one everything.
func (c *client) edit(uri string, version int, at []int, text string) {
	change := map[string]any{"text": text}
	if at != nil {
		change["range"] = map[string]any{"start": pos(at[0], at[1]), "end": pos(at[2], at[3])}
	}
	c.tell("textDocument/didChange", map[string]any{"textDocument": map[string]any{"uri": uri, "version": version}, "contentChanges": []any{change}})
}

func pos(line, character int) map[string]any {
	return map[string]any{"line": line, "character": character}
}

func at(uri string, line, character int) map[string]any {
	return map[string]any{"textDocument": map[string]any{"uri": uri}, "position": pos(line, character)}
}

// shown waits for what is published of a version: each finding as "line:col-col code: message".
func (c *client) shown(uri string, version int, want ...string) {
	c.t.Helper()
	var got []string
	c.next("diagnostics "+strings.Join(want, "; "), func(m map[string]any) bool {
		p, _ := m["params"].(map[string]any)
		if m["method"] != "textDocument/publishDiagnostics" || p["uri"] != uri || p["version"] != float64(version) {
			return false
		}
		got = nil
		data, _ := json.Marshal(p["diagnostics"])
		var list []diagnostic
		if err := json.Unmarshal(data, &list); err != nil {
			c.t.Fatal(err)
		}
		for _, d := range list {
			line, _, _ := strings.Cut(d.Message, "\n")
			text, _ := json.Marshal([]any{d.Range.Start.Line, d.Range.Start.Character, d.Range.End.Character, d.Code, line})
			got = append(got, string(text))
		}
		return strings.Join(got, "\n") == strings.Join(want, "\n")
	})
}

func TestDiagnostics(t *testing.T) {
	c := ready(t)
	uri := uriOf(filepath.Join(t.TempDir(), "a b.lua"))
	c.open(uri, "guest \"é😀\" { limt = { memory = \"1G\" } }\n")
	unknown := `[0,14,18,"unknown-key","guest \"é😀\": unknown key \"limt\""]`
	name := `[0,0,11,"value","guest \"é😀\": \"é😀\" is not a name: use 1 to 63 letters, digits, - _ and ., beginning with a letter or digit"]`
	c.shown(uri, 1, name, unknown)
	c.edit(uri, 2, []int{0, 17, 0, 17}, "i")
	c.edit(uri, 3, []int{0, 7, 0, 10}, "a")
	c.shown(uri, 3)
	c.edit(uri, 4, []int{0, 12, 0, 12}, "mi = 1, \n  ")
	c.shown(uri, 4, `[0,12,14,"unknown-key","guest \"a\": unknown key \"mi\""]`)
	c.edit(uri, 5, nil, "guest \"a\" {")
	c.shown(uri, 5, `[0,10,11,"syntax","\"}\" expected before the end of the file, to close what \"{\" begins in line 1"]`)
	c.edit(uri, 6, nil, "guest \"a\" {}\nguest \"a\" {}\n")
	c.shown(uri, 6) // of lint
	c.shown(uri, 6, `[1,0,12,"check","guest \"a\": declared twice; the first is at `+pathOf(uri)+`:1 (names are unique in a recipe)"]`)
	c.tell("textDocument/didClose", map[string]any{"textDocument": map[string]any{"uri": uri}})
	c.shown(uri, 6)
}

// TestHuge: a text that no verb reads costs an editor neither time nor memory.
func TestHuge(t *testing.T) {
	c := ready(t)
	uri := uriOf(filepath.Join(t.TempDir(), "huge.lua"))
	c.open(uri, strings.Repeat("x=1\n", modules.MaxSize/4+1))
	c.shown(uri, 1, `[0,0,0,"syntax","the text is larger than 1 MB"]`)
}

// TestLoop types what never ends when it is read.
func TestLoop(t *testing.T) {
	c := ready(t)
	uri := uriOf(filepath.Join(t.TempDir(), "loop.lua"))
	c.open(uri, "local n = 0\nwhile n >= 0 do n = n + 1 end\n")
	c.shown(uri, 1)
	c.edit(uri, 2, nil, "guest \"a\" { lim = {} }\n")
	start := time.Now()
	c.shown(uri, 2, `[0,12,15,"unknown-key","guest \"a\": unknown key \"lim\""]`)
	if took := time.Since(start); took > fixture.Patience(10*time.Second) {
		t.Errorf("the next text had to wait %s for it", took)
	}
	c.edit(uri, 3, nil, "local t = {}\nwhile true do t[#t + 1] = (\"x\"):rep(1e6) end\n")
	c.shown(uri, 3)
	if c.ask("textDocument/hover", at(uri, 0, 6)) == nil {
		t.Error("nothing is answered meanwhile")
	}
}

// TestClock reads what nothing but the clock ends: the loop's line is told.
func TestClock(t *testing.T) {
	const slow = "reading the recipe took longer than 2s, and was ended here: does this loop end?"
	for _, c := range []struct {
		name, text string
		line       int
	}{
		{"by itself", "while true do end\n", 0},
		{"over lines", "local n = 0\n\nrepeat\n  n = n + 1\nuntil n < 0\nprint(n)\n", 2},
		{"that catches", "local function f() error('no') end\nwhile true do\n  pcall(f)\nend\n", 1},
		{"around another", "print 'begins'\nwhile true do\n  for i = 1, 10 do\n    print(i)\n  end\nend\n", 1},
		{"in a function", "local function f(n)\n  while n >= 0 do\n    n = n + 1\n  end\nend\nfor i = 1, 3 do\n  f(i)\nend\n", 1},
		{"without a loop", "::again::\ngoto again\n", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cl := ready(t)
			uri := uriOf(filepath.Join(t.TempDir(), "clock.lua"))
			cl.open(uri, c.text)
			for {
				list := cl.next("diagnostics", func(m map[string]any) bool { return m["method"] == "textDocument/publishDiagnostics" })["params"].(map[string]any)["diagnostics"].([]any)
				if len(list) == 0 {
					continue
				}
				last := list[len(list)-1].(map[string]any)
				if last["code"] != "check" {
					continue
				}
				if got := last["range"].(map[string]any)["start"].(map[string]any)["line"]; got != float64(c.line) || last["message"] != slow {
					t.Errorf("line %v: %v", got, last["message"])
				}
				return
			}
		})
	}
}

func TestModules(t *testing.T) {
	dir := t.TempDir()
	module := filepath.Join(dir, "common.lua")
	if err := os.WriteFile(module, []byte("local m = {}\n-- twice doubles\nfunction m.twice(n) return 2 * n end\nreturn m\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := ready(t)
	uri := uriOf(filepath.Join(dir, "r.lua"))
	c.open(uri, "local m = require \"common\"\nprint(m.twise(1), m.twice(2))\n")
	c.shown(uri, 1, `[1,8,13,"unknown-field","common has no \"twise\""]`)
	def := c.ask("textDocument/definition", at(uri, 1, 22))
	if def["uri"] != uriOf(module) || def["range"].(map[string]any)["start"].(map[string]any)["line"] != 2.0 {
		t.Error(def)
	}
	if err := os.WriteFile(module, []byte("return { twise = print, twice = print }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.tell("textDocument/didSave", map[string]any{"textDocument": map[string]any{"uri": uriOf(module)}})
	c.shown(uri, 1)
}

func TestSymbols(t *testing.T) {
	c := ready(t)
	c.open("untitled:1", "local function f(a) end\nlocal t = template \"t\" { build = function(t) end }\nfor i = 1, 2 do\n  guest(\"w\" .. i) { hooks = { on_fail = function() end }, template = t, boot = f }\nend\npool \"p\" { size = 1, each = function(i) return {} end }\n")
	m := c.raw("textDocument/documentSymbol", map[string]any{"textDocument": map[string]any{"uri": "untitled:1"}})
	var names []string
	var walk func(v any)
	walk = func(v any) {
		list, _ := v.([]any)
		for _, e := range list {
			s := e.(map[string]any)
			detail, _ := s["detail"].(string)
			names = append(names, detail+" "+s["name"].(string))
			walk(s["children"])
		}
	}
	walk(m["result"])
	if got := strings.Join(names, "; "); got != `template t; (t) build; guest "w" .. i; () on_fail; pool p; (i) each; (a) f` {
		t.Error(got)
	}
}

func TestLifecycle(t *testing.T) {
	c := newClient(t)
	code := func(m map[string]any) any {
		e, _ := m["error"].(map[string]any)
		return e["code"]
	}
	if m := c.raw("textDocument/hover", at("file:///x.lua", 0, 0)); code(m) != -32002.0 {
		t.Error(m)
	}
	c.ask("initialize", map[string]any{})
	for method, want := range map[string]any{"textDocument/formatting": -32601.0, "initialize": -32600.0, "textDocument/hover": nil} {
		if m := c.raw(method, at("file:///nowhere.lua", 0, 0)); code(m) != want {
			t.Error(method, m)
		}
	}
	if m := c.raw("textDocument/hover", []int{1}); code(m) != -32602.0 {
		t.Error(m)
	}
	if _, err := io.WriteString(c.out, "Content-Length: 1\r\n\r\n{"); err != nil {
		t.Fatal(err)
	}
	c.next("parse error", func(m map[string]any) bool { return code(m) == -32700.0 })
	c.open("file:///x.lua", "x = 1")
	c.edit("file:///x.lua", 2, []int{9, 9, 0, 0}, "é") // outside, and the wrong way round
	c.edit("file:///x.lua", 3, []int{-1, -1, 0, 1}, "y")
	if got := c.raw("textDocument/completion", at("file:///x.lua", 99, 99)); got["error"] != nil {
		t.Error(got)
	}
	c.ask("shutdown", nil)
	if m := c.raw("textDocument/hover", at("file:///x.lua", 0, 0)); code(m) != -32600.0 {
		t.Error(m)
	}
	c.tell("exit", nil)
	if err := <-c.done; err != nil {
		t.Error(err)
	}
	c = ready(t)
	c.out.Close()
	if err := <-c.done; err != ErrNoShutdown {
		t.Error(err)
	}
}
