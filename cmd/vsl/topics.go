package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"vsl/lua/bind"
	"vsl/stdlib"
)

// topicPage is a page of vsl help; vsl doc shows it too.
type topicPage struct {
	name, short string
	text        func() string
}

// topicPages are the pages of vsl help. Keys come from the schemas that decode them.
func topicPages() []topicPage {
	return []topicPage{
		{"recipe", "how a recipe is written, and the keys of a guest", recipePage},
		{"values", "templates, probes and addresses: what the keys are given", valuesPage},
		{"params", "parameters, pools and secrets: recipes that fit many hosts", paramsPage},
		{"flows", "the phases of a guest, and what a flow may call", flowsPage},
		{"default-flows", "the flows of a guest whose recipe gives none", func() string { return stdlibFile("flows") }},
		{"std", "the small library of helpers: require \"vsl.std\"", stdPage},
		{"primitives", "the six primitives and their arguments", primitivesPage},
		{"testing", "how tests of recipes are written", testingPage},
		{"editors", "recipes in VS Code, Neovim, Emacs and Helix: mistakes, completion, debugging", editorsPage},
		{"exit-codes", "what the exit codes mean", exitPage},
	}
}

// topics are those pages as commands that only have help.
func topics() []*cobra.Command {
	var out []*cobra.Command
	for _, p := range topicPages() {
		c := &cobra.Command{Use: p.name, Short: p.short}
		c.SetHelpFunc(func(c *cobra.Command, args []string) {
			c.Long = strings.TrimRight(p.text(), "\n")
			c.Root().HelpFunc()(c, args)
		})
		out = append(out, c)
	}
	return out
}

func recipePage() string {
	return `A recipe is a Lua file that declares guests. Reading it changes nothing; acting is for flows.

  local web = template "web" {
    from = debian { suite = "bookworm", packages = { "nginx-light" } },
  }
  local count = param.int("count", { default = 2, min = 1, doc = "how many" })

  for i = 1, count do
    guest("web" .. i) {
      template = web,
      limit = { memory = "256M", cpu = 0.5 },
      ip = subnet("127.77.0.0/24"):at(10 + i),
      ready = probe.http { port = 80, within = "20s" },
    }
  end

-p count=3 on the command line gives a parameter. Unknown keys, wrong types and globals that do not
exist are errors that name the line. Paths begin at the recipe's own folder; what reaches the host
beyond it is refused without --allow-host. vsl recipes show NAME prints the embedded recipes.
A command is a list, or a string that /bin/sh runs; sizes are written as "256M", durations as "20s".
What a template and a probe take: vsl help values. Parameters, pools, secrets: vsl help params. What a function may call: vsl help flows.
` + keys("Keys of guest:", bind.GuestSchema) + keys("Keys of limit (live: changes while the guest runs):", bind.LimitSchema) +
		keys("Keys of an entry of limit.io:", bind.IOSchema) + keys("Keys of limit.sched:", bind.SchedSchema) +
		keys("Keys of stop:", bind.StopSchema)
}

func valuesPage() string {
	text := `What the keys of a guest are given, beside plain values:

  local base = template "base" { from = debian { packages = { "nginx-light" } } }
  template = base                           a template; host() is the host's own /usr, read-only
  ready = probe.http { port = 80 }          a probe; probe.tcp(80), probe.log("listening") and the like are short forms
  ip = subnet("127.77.0.0/24"):at(10)       the tenth address of a range
  limit = { pids = param.int("pids", { default = 64, min = 1 }) }    a parameter, given with -p pids=99

A parameter without a default must be given: vsl help params.
`
	for _, s := range []*bind.Schema{bind.TemplateSchema, bind.DebianSchema, bind.TarSchema, bind.AddressSchema} {
		text += keys(s.Name+": "+s.Doc, s)
	}
	for _, kind := range sortedNames(bind.ProbeSchemas) {
		s := bind.ProbeSchemas[kind]
		text += keys(s.Name+": "+s.Doc, s)
	}
	return text
}

// stdlibFile is a module of the standard library, which is written to be read.
func stdlibFile(name string) string {
	text, err := stdlib.FS.ReadFile("vsl/" + name + ".lua")
	if err != nil { // it is part of the program
		return err.Error()
	}
	return string(text)
}

func flowsPage() string {
	return `A flow is a Lua function that brings a guest through a phase. A guest without its own gets the
default one, which is written in terms of the six primitives: vsl help default-flows prints it.

  provision(g)  once, before the first boot: the guest is there, its own init is not running yet
  boot(g)       makes the context, clones, limits, binds, starts pid 1
  ready(g)      returns once the guest serves; a probe, such as probe.tcp { port = 6379 }, may stand here
  run(g)        once it serves, at each boot
  shutdown(g)   asks the guest to end; what is left after it is killed
  destroy(g)    before the guest is removed, while it may still run
  build(t)      of a template: runs once, in a context of its own, before the template is frozen

hooks = { before_boot = f, after_ready = f, … } surround them; hooks.on_fail(g, err) sees a guest as it
failed. timeout = { provision = "1h" } bounds a flow. An error in provision, boot, ready or run undoes what
the run acquired, in reverse, and the other guests are left as they are; vsl up --keep leaves it for a look.
Guests come up in parallel; after = { db = "ready" } makes one wait for another. vsl down and rm run the
flows of the recipe the guest was booted with, not of a file edited since.

In a flow, beside the primitives:

  defer(f)                                   runs f at the flow's end, whatever became of it; the last first
  sleep("2s")                                waits; Ctrl-C and timeouts end it
  timeout("30s", f)                          calls f, and ends it when it takes longer
  retry { attempts = 5, delay = "1s", f }    calls f until it raises no error; gives what f gives
  parallel { f1, f2, limit = 4 }             calls functions at the same time; gives the first value of each
  g.data.key = value                         is kept with the guest between commands, as JSON

g has the fields name, xid, ip, root, spec, state and data, and these methods:

  g:exec { "nginx", "-t", check = true }    code, stdout, stderr; raises with check when the code is not 0
  g:sh("ls /srv | wc -l")                   the same of a shell script
  g:write(path, text, { mode = "0600" })    files inside the guest; also g:append(path, text), g:read(path)
  g:mkdir(path)  g:remove(path)  g:exists(path)  g:glob("/etc/*.conf")
  g:copy_in(host, guest)                    from beside the recipe; g:copy_out(guest, host) needs --allow-host
  g:shutdown()  g:kill()  g:wait()          g:kill { signal = "HUP" } only sends a signal
  g:wait_ready(probe)  g:status()  g:log_tail(lines)

print and log.info("text", { key = value }) write to standard error.
` + keys("Arguments of g:exec:", bind.ExecSchema) +
		keys("Keys of hooks:", bind.HooksSchema) + keys("Keys of timeout (stop.timeout is that of shutdown):", bind.TimeoutSchema) +
		keys("Arguments of retry:", bind.RetrySchema) + keys("Arguments of parallel:", bind.ParallelSchema)
}

func primitivesPage() string {
	text := `The six primitives act on a guest. They may be called in flows and at vsl repl; while a recipe is only
being read, calling one is an error. Each takes one table: the guest first, then keys.

  boot = function(g)
    context { g }
    cow_clone { g, template = g.spec.template }
    limit { g, memory = "256M" }
    bind_ip { g, ip = g.spec.ip }
    boot { g, command = { "/bin/sh", "-c", "exec my-server" } }
  end
`
	for _, s := range []*bind.Schema{bind.ContextSchema, bind.CowCloneSchema, bind.LimitSchema, bind.BindIPSchema, bind.BootSchema, bind.KillSchema} {
		text += keys(s.Name+": "+s.Doc, s)
	}
	return text
}

func exitPage() string {
	text := "The exit code says what kind of end a command had; the first line that fits decides.\n\n"
	for _, e := range exits {
		text += fmt.Sprintf("  %d  %s\n", e.code, e.means)
	}
	return text + `
vsl exec and vsl enter pass on the command's own code:

  128+n  signal n ended the command
  127    the command was not found
  126    it cannot be executed
  125    vsl itself failed, also because there is no such guest, it does not run, or output was lost
  124    --timeout ended it

vsl status exits with 3 when a guest does not run, vsl plan --exit-code with 2 when there is something
to do, vsl lint with 2 when it finds something, vsl doctor with 1 when something is missing.
`
}

// keys prints a schema.
func keys(title string, s *bind.Schema) string {
	var b strings.Builder
	b.WriteString("\n" + title + "\n")
	name, width := 12, 0
	for _, k := range s.Keys {
		name, width = max(name, len(k.Name)), max(width, len(k.Type.Name))
	}
	for _, k := range s.Keys {
		notes := []string{}
		if k.Required {
			notes = append(notes, "required")
		}
		if k.Default != "" {
			notes = append(notes, "default "+k.Default)
		}
		if k.Live && slices.ContainsFunc(s.Keys, func(o bind.Key) bool { return !o.Live }) {
			notes = append(notes, "live")
		}
		doc := k.Doc
		if len(notes) > 0 {
			doc += " (" + strings.Join(notes, ", ") + ")"
		}
		fmt.Fprintf(&b, "  %-*s %-*s  %s\n", name, k.Name, width, k.Type.Name, doc)
	}
	return b.String()
}
