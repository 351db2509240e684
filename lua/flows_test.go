package lua

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vsl/engine"
	"vsl/engine/enginetest"
	"vsl/tests/fixture"
)

// boot runs the boot flow of the recipe's first guest.
func boot(t *testing.T, ctx context.Context, text string, o Options, prepare func(*enginetest.Engine)) ([]string, error) {
	t.Helper()
	r, e, err := load(t, text, o)
	if err != nil {
		t.Fatal(err)
	}
	if prepare != nil {
		prepare(e)
	}
	g, err := e.New(r.Guests[0].Spec)
	if err != nil {
		t.Fatal(err)
	}
	err = r.Guests[0].Flows.Boot(ctx, g)
	return e.Calls(), err
}

// Every method and primitive, as it reaches the engine.
func TestHandle(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "site.conf"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	calls, err := boot(t, context.Background(), `
local db = guest "web" { ip = { "198.51.100.5/24", "2001:db8::5" }, limit = { memory = "1M", cpu_burst = "5ms" }, stop = { timeout = "3s" }, boot = function(g)
  print(g.name, g.ip, g.xid, g.state, tostring(g), g.spec.limit.memory, g.spec.limit.cpu_burst, g.spec.stop.timeout, g.root)
  context { g }
  limit { g, g.spec.limit, pids = 5, memory = "2M" }
  cow_clone { g, kind = "copy" }
  bind_ip { g, ip = g.spec.ip }
  boot { g, idle = true }
  print(g.xid, g.state, g, g:status().pid, g.root)
  local r = g:exec { "id", "-u", user = 1000, dir = "/tmp", stdin = "in", env = { A = 1 }, timeout = "1s" }
  print(r.code, r.stdout, r.stderr)
  g:sh("echo hi", { check = true })
  g:write("/a", "x", { mode = "0600" }) g:append("/a", "y") print(g:read("/a"), g:exists("/a"), g:exists("/b"), g:glob("/*")[1])
  g:mkdir("/d") g:mkdir("/e", { mode = "1777" }) g:remove("/a")
  g:copy_in("site.conf", "/etc/site.conf")
  g:wait_ready(probe.tcp { port = 80 }) g:wait_ready()
  print(g:wait().code, g:log_tail(1)[1])
  g:kill { signal = "HUP", all = true } g:shutdown() g:kill()
  kill { g, signal = "USR1" } kill { "web", graceful = true, timeout = "2s" }
  local a, b = {}, {} a[g] = 1 b[g] = 2
  print(g == g, a[g])
end }
`, Options{Dir: dir, Stdout: &out}, func(e *enginetest.Engine) {
		e.Exec = func(_ string, a engine.ExecArgs) (engine.ExecResult, error) {
			return engine.ExecResult{Code: 0, Stdout: []byte(a.Env["A"]), Stderr: []byte(a.Timeout.String())}, nil
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `context web
limit web cpu_burst=5000000 memory=2097152 pids=5
cow_clone web template=host kind=copy
bind_ip web ip=198.51.100.5/24 ip=2001:db8::5
boot web idle=true
exec web id -u user=1000 dir=/tmp stdin=in
exec web /bin/sh -c echo hi
write web /a mode=0600 "x"
append web /a "y"
mkdir web /d mode=0755
mkdir web /e mode=0777
remove web /a
copy_in web DIR/site.conf /etc/site.conf
wait_ready web kind=tcp port=80
wait_ready web kind=started
wait web
kill web signal=HUP all
kill web graceful
kill web
kill web signal=USR1
kill web graceful timeout=2s`
	if got := strings.ReplaceAll(strings.Join(calls, "\n"), dir, "DIR"); got != want {
		t.Errorf("calls:\n%s", got)
	}
	wantOut := `web	198.51.100.5	nil	stopped	guest web (stopped)	1048576	0.005	3	nil
4096	running	guest web (running)	4242	/proc/4242/root
0	1	1s
xy	true	false	/a
0	web says hello
true	1
`
	if out.String() != wantOut {
		t.Errorf("printed:\n%s", out.String())
	}
}

// What goes wrong in a flow says where, and keeps its cause.
func TestFlowErrors(t *testing.T) {
	denied := &engine.OpError{Op: "mount proc", Target: "web", Err: os.ErrPermission, Hint: "be root"}
	for _, c := range []struct{ name, flow, want string }{
		{"primitive", "boot { g }", "recipe.lua:2: mount proc web: permission denied (be root)"},
		{"in the default flow", `require("vsl.flows").boot(g)`, "recipe.lua:2: mount proc web: permission denied (be root)"},
		{"again", "local ok, e = pcall(boot, { g }) error(e)", "recipe.lua:2: mount proc web: permission denied (be root)"},
		{"fields", "local ok, e = pcall(boot, { g }) error(e.op .. '|' .. e.target .. '|' .. e.hint .. '|' .. e.message)", "recipe.lua:2: mount proc|web|be root|mount proc web: permission denied (be root)"},
		{"unknown field of an error", "local ok, e = pcall(boot, { g }) print(e.mesage)", `recipe.lua:2: an error has no field "mesage" (did you mean "message"?)`},
		{"unknown key", "limit { g, memroy = '1G' }", `recipe.lua:2: limit: unknown key "memroy" (did you mean "memory"?)`},
		{"several", "limit { g, memory = 'x', pids = {} }", "recipe.lua:2: limit: memory: \"x\" is not a size: write a number and B, K, M, G or T, such as \"256M\"\nlimit: pids: must be a whole number or \"unlimited\", not a table"},
		{"no table", "limit(g)", "recipe.lua:2: limit must be given a table (write limit { g })"},
		{"no guest", "limit { memory = '1G' }", "recipe.lua:2: limit: the guest must come first, not nil (write limit { g, … })"},
		{"no guest for context", "context {}", `recipe.lua:2: context: the guest must come first, not nil (write context { g }, or context { name = "web1" } for a new guest)`},
		{"bad name", "context { name = 'a/b' }", `recipe.lua:2: "a/b" is not a name: use 1 to 63 letters, digits, - _ and ., beginning with a letter or digit`},
		{"unknown guest", "kill { 'nobody' }", "recipe.lua:2: look up guest nobody: file does not exist"},
		{"unknown method", "g:exce {}", `recipe.lua:2: a guest has no "exce" (did you mean "exec"?)`},
		{"dot for colon", "g.exec { 'id' }", "recipe.lua:2: exec must be called on a guest (write g:exec, with a colon)"},
		{"exec without table", "g:exec 'id'", "recipe.lua:2: exec: must be given a table, not the string \"id\" (write g:exec { \"program\", \"argument\" }, or g:sh \"script\")"},
		{"exec without command", "g:exec {}", "recipe.lua:2: exec: the command is missing"},
		{"exec, unknown key", "g:exec { 'id', chek = true }", `recipe.lua:2: exec: unknown key "chek" (did you mean "check"?)`},
		{"check", "g:exec { 'nginx', '-t', check = true }", "recipe.lua:2: web: nginx -t: exit status 3: bad config"},
		{"write without data", "g:write('/x')", "recipe.lua:2: write: the data must be a string, not nil"},
		{"mode as a number", "g:write('/x', '', { mode = 644 })", `recipe.lua:2: write: mode: must be octal permissions in a string, such as "0644", not the number 644`},
		{"copy_in from elsewhere", "g:copy_in('/etc/passwd', '/x')", "recipe.lua:2: copy_in /etc/passwd: is outside the recipe's folder (--allow-host allows it)"},
		{"copy_in from above", "g:copy_in('../x', '/x')", "recipe.lua:2: copy_in ../x: is outside the recipe's folder (--allow-host allows it)"},
		{"copy_in through a link", "g:copy_in('link/passwd', '/x')", "recipe.lua:2: copy_in link/passwd: is outside the recipe's folder (--allow-host allows it)"},
		{"copy_out", "g:copy_out('/x', 'x')", "recipe.lua:2: copy_out x: a recipe may not write to the host (--allow-host allows it)"},
		{"declaring", `guest "b" {}`, `recipe.lua:2: guest "b": guests are declared while the recipe is read, not inside a flow`},
		{"bad probe", "g:wait_ready(5)", "recipe.lua:2: wait_ready: must be a probe, not the number 5"},
		{"plain", "error('own')", "recipe.lua:2: own"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.Symlink("/etc", filepath.Join(dir, "link")); err != nil {
				t.Fatal(err)
			}
			_, err := boot(t, context.Background(), "guest 'web' { boot = function(g)\n"+c.flow+"\nend }", Options{Dir: dir}, func(e *enginetest.Engine) {
				e.Fail = func(call string) error {
					if strings.HasPrefix(call, "boot") {
						return denied
					}
					return nil
				}
				e.Exec = func(string, engine.ExecArgs) (engine.ExecResult, error) {
					return engine.ExecResult{Code: 3, Stderr: []byte("bad config\n")}, nil
				}
			})
			var re *RuntimeError
			if err == nil || err.Error() != c.want || !errors.As(err, &re) || re.Pos.Line != 2 {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
			if strings.Contains(c.name, "primitive") && (!errors.Is(err, os.ErrPermission) || len(re.Traceback) != 1) {
				t.Errorf("cause or traceback lost: %#v", re)
			}
			var ee *ExecError
			if c.name == "check" && (!errors.As(err, &ee) || ee.Code != 3) {
				t.Errorf("no ExecError: %#v", err)
			}
		})
	}
}

// A flow that is cancelled ends at once, be it in Lua or in a primitive, and
// says why.
func TestFlowCancel(t *testing.T) {
	for _, flow := range []string{"while true do end", "boot { g }", "while true do pcall(boot, { g }) end"} {
		why := errors.New("down at once")
		ctx, cancel := context.WithCancelCause(context.Background())
		time.AfterFunc(30*time.Millisecond, func() { cancel(why) })
		start := time.Now()
		_, err := boot(t, ctx, "guest 'web' { boot = function(g) "+flow+" end }", Options{}, func(e *enginetest.Engine) { e.Delay = time.Hour })
		if !errors.Is(err, why) || time.Since(start) > fixture.Patience(5*time.Second) {
			t.Errorf("%s: %v after %s", flow, err, time.Since(start))
		}
	}
}

// Flows of many guests run at the same time.
func TestParallelFlows(t *testing.T) {
	r, e, err := load(t, `
local up = 0
for i = 1, 50 do
  guest("g" .. i) { boot = function(g)
    require("vsl.flows").boot(g)
    up = up + 1
    g:write("/n", tostring(up))
    if g.name ~= "g" .. i then error("mixed up") end
  end }
end`, Options{})
	if err != nil {
		t.Fatal(err)
	}
	e.Delay = fixture.Scaled(10 * time.Millisecond)
	errs := make(chan error)
	start := time.Now()
	for _, d := range r.Guests {
		go func() {
			g, err := e.New(d.Spec)
			if err == nil {
				err = d.Flows.Boot(context.Background(), g)
			}
			if err == nil {
				err = d.Flows.Shutdown(context.Background(), g)
			}
			errs <- err
		}()
	}
	for range r.Guests {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if d := time.Since(start); d > 250*e.Delay { // one after the other it would be 350 of them
		t.Errorf("took %s", d)
	}
	if n := len(e.Calls()); n != 50*7 {
		t.Errorf("%d calls", n)
	}
}

func TestReady(t *testing.T) {
	r, e, err := load(t, `
local tries = 0
guest "a" { ready = function(g) tries = tries + 1 return tries == 3 end }
guest "b" { ready = "7s" }
guest "c" { ready = function(g) g:wait_ready(probe.file "/ok") end }
guest "d" { ready = probe.log { "ready to accept", within = 5 } }`, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range r.Guests[:3] {
		g, _ := e.New(d.Spec)
		if err := d.Flows.Ready(context.Background(), g); err != nil {
			t.Error(d.Spec.Name, err)
		}
	}
	want := "wait_ready b kind=started within=7000000000\nwait_ready c kind=file path=/ok"
	if got := strings.Join(e.Calls(), "\n"); got != want {
		t.Errorf("calls:\n%s", got)
	}
	if d := r.Guests[3]; d.Flows.Ready != nil || d.Spec.Ready.Match != "ready to accept" || d.Spec.Ready.Within != 5*time.Second {
		t.Errorf("%+v", d.Spec.Ready)
	}
}

func TestDefaults(t *testing.T) {
	e := enginetest.NewEngine()
	f, err := Defaults(Options{Engine: e})
	if err != nil {
		t.Fatal(err)
	}
	g, _ := e.New(&engine.Spec{Name: "old", Template: &engine.Template{Name: "host"}, Command: []string{"true"}})
	if err := errors.Join(f.Boot(context.Background(), g), f.Shutdown(context.Background(), g)); err != nil {
		t.Fatal(err)
	}
	want := "context old\ncow_clone old template=host\nlimit old\nbind_ip old\nboot old command=true\nkill old graceful"
	if got := strings.Join(e.Calls(), "\n"); got != want || f.Provision != nil || f.Ready != nil {
		t.Errorf("calls:\n%s", got)
	}
}

func TestBuildFingerprint(t *testing.T) {
	build := func(text string) string {
		r, _, err := load(t, "local word = '"+text+"'\ntemplate 't' { build = function(t) t:write('/x', word) end }", Options{})
		if err != nil {
			t.Fatal(err)
		}
		return r.Templates[0].Build
	}
	if a, b := build("a"), build("a"); a != b || a == "" {
		t.Errorf("%q and %q differ", a, b)
	}
	if build("a") == build("b") {
		t.Error("a changed upvalue goes unseen")
	}
}

// An error of the engine is still itself after Lua code has caught it, looked at it
// and raised it again.
func TestEngineErrorsGoThroughLua(t *testing.T) {
	for _, text := range []string{
		`g:exec { "true" }`,
		`local ok, e = pcall(g.exec, g, { "true" }) error(e)`,
		`local ok, e = pcall(function() local ok, e = pcall(function() g:exec { "true" } end) error(e, 2) end) print(e.op, tostring(e)) error(e)`,
		`assert(pcall(function() g:exec { "true" } end))`,
		`xpcall(function() g:exec { "true" } end, function(e) error(e) end) local ok, e = xpcall(function() g:exec { "true" } end, function(e) return e end) error(e)`,
		`coroutine.wrap(function() g:exec { "true" } end)()`,
		`local co = coroutine.create(function() g:exec { "true" } end) local ok, e = coroutine.resume(co) error(e)`,
		`timeout("5s", function() local ok, e = pcall(function() g:exec { "true" } end) error(e) end)`,
		`retry { attempts = 2, delay = "1ms", function() g:exec { "true" } end }`,
		`parallel { function() g:exec { "true" } end }`,
		`("x"):gsub("x", function() g:exec { "true" } end)`,
		`table.sort({ 1, 2 }, function() g:exec { "true" } end)`,
	} {
		failed := &engine.OpError{Op: "exec", Target: "web", Err: engine.ErrNotRunning}
		_, err := boot(t, context.Background(), "guest \"web\" { boot = function(g)\n"+text+"\nend }", Options{}, func(e *enginetest.Engine) {
			e.Exec = func(string, engine.ExecArgs) (engine.ExecResult, error) { return engine.ExecResult{}, failed }
		})
		var op *engine.OpError
		var rt *RuntimeError
		if !errors.Is(err, engine.ErrNotRunning) || !errors.As(err, &op) || op != failed || !errors.As(err, &rt) || rt.Pos.Line != 2 {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// A path that no kernel takes is refused before anybody looks at it.
func TestLongPaths(t *testing.T) {
	for call, method := range map[string]string{
		`g:read(p)`: "read", `g:write(p, "")`: "write", `g:append(p, "")`: "append", `g:mkdir(p)`: "mkdir", `g:remove(p)`: "remove",
		`g:exists(p)`: "exists", `g:glob(p)`: "glob", `g:copy_in(p, "/x")`: "copy_in", `g:copy_in("x", p)`: "copy_in",
		`g:copy_out(p, "x")`: "copy_out", `secret.file(p)`: "secret.file",
	} {
		run := func(size string) error {
			_, err := boot(t, context.Background(), `guest "web" { boot = function(g) local p = ("a/"):rep(1e6):sub(1, `+size+`)`+"\n"+call+" end }",
				Options{Dir: t.TempDir(), AllowHost: true}, nil)
			return err
		}
		want := "recipe.lua:2: " + method + " a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/...: file name too long (the "
		for _, size := range []string{"4096", "-1"} {
			if err := run(size); !errors.Is(err, engine.ErrPathTooLong) || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("%s of %s bytes: %.300v", call, size, err)
			}
		}
		if err := run("4095"); errors.Is(err, engine.ErrPathTooLong) {
			t.Errorf("%s of 4095 bytes: %.300v", call, err)
		}
	}
}
