package lua

import (
	"context"
	"strings"
	"testing"

	"vsl/engine/enginetest"
)

// load reads a recipe from text with an engine that records.
func load(t *testing.T, text string, o Options) (*Recipe, *enginetest.Engine, error) {
	t.Helper()
	e := enginetest.NewEngine()
	o.Engine = e
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	r, err := Load(context.Background(), "recipe.lua", []byte(text), o)
	if r != nil {
		t.Cleanup(r.Close)
	}
	return r, e, err
}

// The recipe of the design, brought up and down with its flows.
func TestFlows(t *testing.T) {
	r, e, err := load(t, `
local web = template "web" {
  from = debian { suite = "bookworm", packages = { "nginx-light" } },
  build = function(t) t:write("/var/www/html/index.html", "hello\n") end,
}
local count = param.int("count", { default = 3, min = 1, max = 200, doc = "how many web guests" })
local db = guest "db" { command = { "sleep", "infinity" } }

for i = 1, count do
  guest("web" .. i) {
    template = web,
    limit = { memory = "256M", cpu = 0.5, pids = 256 },
    ip = subnet("198.51.100.0/24"):at(10 + i),
    after = { [db] = "ready" },
    provision = function(g) g:write("/etc/motd", g.name .. "\n") end,
    ready = probe.http { port = 80, within = "10s" },
    shutdown = function(g) g:exec { "nginx", "-s", "quit" } g:shutdown() end,
  }
end
`, Options{Params: map[string]string{"count": "2"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Guests) != 3 || r.Guests[1].BuildTemplate == nil || r.BuildFlows["web"] == nil {
		t.Fatalf("guests: %+v", r.Guests)
	}
	ctx := context.Background()
	for _, d := range r.Guests {
		g, err := e.New(d.Spec)
		if err != nil {
			t.Fatal(err)
		}
		if d.Flows.Provision != nil {
			if err := d.Flows.Provision(ctx, g); err != nil {
				t.Fatal(err)
			}
		}
		if err := d.Flows.Boot(ctx, g); err != nil {
			t.Fatal(err)
		}
		if err := d.Flows.Shutdown(ctx, g); err != nil {
			t.Fatal(err)
		}
	}
	want := `context db
cow_clone db template=host
limit db
bind_ip db
boot db command="sleep infinity"
kill db graceful
write web1 /etc/motd "web1\n"
context web1
cow_clone web1 template=web
limit web1 cpu=0.5 memory=268435456 pids=256
bind_ip web1 ip=198.51.100.11
boot web1
exec web1 nginx -s quit
kill web1 graceful
write web2 /etc/motd "web2\n"
context web2
cow_clone web2 template=web
limit web2 cpu=0.5 memory=268435456 pids=256
bind_ip web2 ip=198.51.100.12
boot web2
exec web2 nginx -s quit
kill web2 graceful`
	if got := strings.Join(e.Calls(), "\n"); got != want {
		t.Errorf("calls:\n%s\nwant:\n%s", got, want)
	}
	if s := r.Guests[1].Spec; s.Pos.Line != 10 || s.KeyPos["limit.memory"].Line != 12 || s.After["db"] != "ready" || s.Custom["shutdown"].Line != 17 {
		t.Errorf("spec: %+v", s)
	}
}
