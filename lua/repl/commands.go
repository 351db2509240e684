package repl

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"vsl/engine"
	"vsl/lua/bind"
)

// Host is what the prompt can do beside Lua. A nil function is a command that is
// not there.
type Host struct {
	Topics func() []string                                              // what Doc knows
	Doc    func(topic string) (string, error)                           // explains a word of the language
	List   func(ctx context.Context) error                              // prints the guests of this host
	Plan   func(ctx context.Context, guests []engine.Declared) error    // prints what up would do
	Logs   func(ctx context.Context, guest string) error                // prints the end of a guest's log
	Shell  func(ctx context.Context, guest string, argv []string) error // runs a command in a guest, or a login shell
}

// command is what a line that begins with a dot does.
type command struct {
	names []string // the first is the one that is listed
	usage string
	doc   string
	run   func(r *repl, ctx context.Context, args []string) error
}

// errQuit leaves the prompt.
var errQuit = errors.New("quit")

// commands are made anew for each use: they refer to functions that use them.
func commands() []command {
	return []command{
		{[]string{"up"}, "GUEST…", "bring guests up with their flows", each((*repl).up)},
		{[]string{"down"}, "GUEST…", "bring guests down with their flows", each((*repl).down)},
		{[]string{"plan"}, "[GUEST…]", "what up would do", (*repl).plan},
		{[]string{"undo"}, "", "take back what was done last", (*repl).undo},
		{[]string{"guests"}, "", "the guests declared here", (*repl).guests},
		{[]string{"ls"}, "", "the guests of this host", (*repl).list},
		{[]string{"logs", "log"}, "GUEST", "the end of a guest's log", each((*repl).logs)},
		{[]string{"sh"}, "GUEST [COMMAND…]", "a login shell in a guest, or a command", (*repl).shell},
		{[]string{"doc"}, "[TOPIC]", "what a word of the language means", (*repl).doc},
		{[]string{"src"}, "FUNCTION", "the text of a function", (*repl).source},
		{[]string{"save"}, "FILE.lua", "write what was declared here as a recipe", (*repl).save},
		{[]string{"help", "h"}, "", "this list", (*repl).help},
		{[]string{"quit", "q", "exit"}, "", "leave; guests go on running (also Ctrl-D)", func(*repl, context.Context, []string) error { return errQuit }},
	}
}

// CommandNames lists the commands of the prompt, each with its dot.
func CommandNames() []string {
	var names []string
	for _, c := range commands() {
		names = append(names, "."+c.names[0])
	}
	return names
}

// command runs a line that begins with a dot.
func (r *repl) command(ctx context.Context, line string) error {
	words := strings.Fields(line)
	var names []string
	for _, c := range commands() {
		for _, n := range c.names {
			if "."+n == words[0] {
				return r.guarded(ctx, func(ctx context.Context) error { return c.run(r, ctx, words[1:]) })
			}
			names = append(names, "."+n)
		}
	}
	return &bind.Error{Msg: fmt.Sprintf("unknown command %s", words[0]), Hint: near(bind.DidYouMean(words[0], names), ".help lists them")}
}

func near(hint, otherwise string) string {
	if hint != "" {
		return hint
	}
	return otherwise
}

const intro = `Type Lua: expressions print their value, and a chunk may span lines.

  guest "x" { command = { "sleep", "infinity" } }   declare a guest
  up "x"    down "x"                                bring it up and down with its flows
  guests.x:exec { "id" }                            act inside it; guests are those declared here
  g = context { name = "y" }                        or step by step, with the primitives:
  cow_clone { g }  limit { g, memory = "64M" }  bind_ip { g, ip = "127.77.0.9" }
  boot { g, command = { "sleep", "infinity" } }  kill { g }

_ is the last value, and _err the last error: _err.hint, _err.where. breakpoint() in a flow opens
a prompt there, which sees the flow's variables.

`

func (r *repl) help(context.Context, []string) error {
	fmt.Fprint(r.out, intro)
	for _, c := range commands() {
		fmt.Fprintf(r.out, "  %-24s %s\n", "."+c.names[0]+" "+c.usage, c.doc)
	}
	fmt.Fprint(r.out, "\nCtrl-C ends what is running. Tab completes, arrows bring back what was typed.\n")
	return nil
}

func each(f func(r *repl, ctx context.Context, name string) error) func(*repl, context.Context, []string) error {
	return func(r *repl, ctx context.Context, names []string) error {
		if len(names) == 0 {
			return &bind.Error{Msg: "which guest?", Hint: ".guests lists them"}
		}
		for _, n := range names {
			for _, one := range r.s.Members(n) {
				if err := f(r, ctx, one); err != nil {
					return err
				}
			}
		}
		return nil
	}
}

func (r *repl) up(ctx context.Context, name string) error {
	err := r.s.Up(ctx, name)
	if err == nil {
		fmt.Fprintf(r.out, "%s is up\n", name)
	}
	return err
}

func (r *repl) down(ctx context.Context, name string) error {
	err := r.s.Down(ctx, name)
	if err == nil {
		fmt.Fprintf(r.out, "%s is down\n", name)
	}
	return err
}

func (r *repl) undo(ctx context.Context, _ []string) error {
	what, err := r.s.Undo(ctx)
	if err == nil {
		fmt.Fprintf(r.out, "taken back: %s\n", what)
	}
	return err
}

func (r *repl) plan(ctx context.Context, names []string) error {
	if r.host.Plan == nil {
		return errors.New("there is no host to compare with")
	}
	all := r.s.Guests()
	if len(names) > 0 {
		var members []string
		for _, n := range names {
			members = append(members, r.s.Members(n)...)
		}
		var err error
		if all, err = engine.WithDependencies(all, members); err != nil {
			return err
		}
	}
	return r.host.Plan(ctx, all)
}

func (r *repl) list(ctx context.Context, _ []string) error {
	if r.host.List == nil {
		return errors.New("there is no host to list")
	}
	return r.host.List(ctx)
}

func (r *repl) logs(ctx context.Context, name string) error {
	if r.host.Logs == nil {
		return errors.New("there is no host with guests")
	}
	return r.host.Logs(ctx, name)
}

func (r *repl) shell(ctx context.Context, words []string) error {
	switch {
	case r.host.Shell == nil:
		return errors.New("there is no host with guests")
	case len(words) == 0:
		return &bind.Error{Msg: "which guest?", Hint: ".guests lists them"}
	}
	return r.host.Shell(ctx, words[0], words[1:])
}

func (r *repl) doc(_ context.Context, words []string) error {
	if r.host.Doc == nil {
		return errors.New("there is no documentation here")
	}
	text, err := r.host.Doc(strings.Join(words, " "))
	fmt.Fprint(r.out, text)
	return err
}

func (r *repl) source(ctx context.Context, words []string) error {
	if len(words) != 1 {
		return &bind.Error{Msg: "which function?", Hint: "write .src name, or .src table.name"}
	}
	text, err := r.s.Source(ctx, words[0])
	fmt.Fprint(r.out, text)
	return err
}

// save writes the session as a recipe. It replaces nothing.
func (r *repl) save(_ context.Context, words []string) error {
	if len(words) != 1 {
		return &bind.Error{Msg: "into which file?", Hint: "write .save recipe.lua"}
	}
	f, err := os.OpenFile(words[0], os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, os.ErrExist) {
		return &bind.Error{Msg: words[0] + " is there already", Hint: "give another name"}
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString(r.s.Saved())
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		fmt.Fprintf(r.out, "saved: vsl check %s says whether it is whole\n", words[0])
	}
	return err
}

// guests lists what is declared here and what acted, with states.
func (r *repl) guests(ctx context.Context, _ []string) error {
	running := r.s.Running(ctx)
	w := tabwriter.NewWriter(r.out, 0, 0, 2, ' ', 0)
	row := func(name string, state engine.State) { fmt.Fprintf(w, "%s\t%s\n", name, state) }
	known := []string{}
	for _, d := range r.s.Guests() {
		known = append(known, d.Spec.Name)
		if slices.Contains(running, d.Spec.Name) {
			row(d.Spec.Name, engine.StateRunning)
		} else {
			row(d.Spec.Name, engine.StateDeclared)
		}
	}
	for _, n := range running {
		if !slices.Contains(known, n) {
			row(n, engine.StateRunning)
		}
	}
	if len(known) == 0 && len(running) == 0 {
		fmt.Fprintln(w, "no guests are declared here")
	}
	return w.Flush()
}
