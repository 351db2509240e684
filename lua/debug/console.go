package debug

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"vsl/lua/repl"
	"vsl/lua/runtime"
)

const prompt = "dbg> "

// Console is a front end at a prompt. What does not begin with a dot is Lua, and
// runs where the flow stopped: it sees and sets the variables there.
type Console struct {
	C   *Controller
	Out io.Writer
	// File is the one that a line alone is taken to be of.
	File string
	// Open gives the reader of the prompt; it is called once, when it is needed.
	Open func() repl.Reader

	lines   repl.Reader
	watches []string
	before  string // the command that an empty line repeats
	gone    bool   // the input has ended
}

// verb is a command of the prompt.
type verb struct {
	names []string // the first is the one that is listed
	usage string
	doc   string
	run   func(c *Console, v *view, arg string) (Command, bool)
}

// view is a stop and the level that is looked at. stop is nil at the beginning,
// where breakpoints are set.
type view struct {
	stop *Stop
	at   int
}

func (v *view) level() *runtime.Level { return v.stop.Levels[v.at] }

const stay = Command(-1)

func resume(command Command) func(*Console, *view, string) (Command, bool) {
	return func(*Console, *view, string) (Command, bool) { return command, true }
}

func show(fn func(c *Console, v *view, arg string)) func(*Console, *view, string) (Command, bool) {
	return func(c *Console, v *view, arg string) (Command, bool) {
		fn(c, v, arg)
		return stay, false
	}
}

// verbs are made anew for each use: they refer to functions that use them.
func verbs() []verb {
	return []verb{
		{[]string{"cont", "c"}, "", "go on", resume(Continue)},
		{[]string{"step", "s"}, "", "to the next statement, into functions and coroutines", resume(StepIn)},
		{[]string{"next", "n"}, "", "to the next statement of this function", resume(StepOver)},
		{[]string{"finish", "f"}, "", "to the end of this function", resume(StepOut)},
		{[]string{"abort", "quit", "exit"}, "", "let the flow fail here, which undoes it", resume(Abort)},
		{[]string{"break", "b"}, "[PLACE [if EXPR]]", "stop at file.lua:12, 12, phase boot or on:bind_ip; alone lists them", show((*Console).setBreak)},
		{[]string{"delete", "d"}, "[NUMBER]", "remove a breakpoint, or all", show((*Console).deleteBreak)},
		{[]string{"bt"}, "", "the functions that led here", show((*Console).trace)},
		{[]string{"up"}, "", "look at the caller", show(func(c *Console, v *view, _ string) { c.move(v, 1) })},
		{[]string{"down"}, "", "look at what it called", show(func(c *Console, v *view, _ string) { c.move(v, -1) })},
		{[]string{"locals", "l"}, "", "the variables here, and those of functions around", show((*Console).locals)},
		{[]string{"list"}, "", "the lines around", show(func(c *Console, v *view, _ string) { c.source(v, 5) })},
		{[]string{"watch", "w"}, "[EXPR]", "show a value at each stop; alone shows all", show((*Console).watch)},
		{[]string{"unwatch"}, "", "watch nothing any more", show(func(c *Console, _ *view, _ string) { c.watches = nil })},
		{[]string{"help", "h"}, "", "this list", show(func(c *Console, _ *view, _ string) { c.help() })},
	}
}

// Stopped implements Front.
func (c *Console) Stopped(s *Stop) Command {
	if c.gone {
		return Continue
	}
	v := &view{stop: s}
	// The line of a primitive that a default flow calls says nothing: the recipe's does.
	if i := slices.IndexFunc(s.Levels, func(l *runtime.Level) bool { return !l.Stdlib() }); i > 0 && s.Reason != Primitive {
		v.at = i
	}
	c.File = v.level().Pos.File
	fmt.Fprintf(c.Out, "stopped in %s: %s, at %s\n", s.Flow, s.Text, v.level().Pos)
	if s.Reason == Primitive && c.C.asks() {
		return c.ask(v)
	}
	c.source(v, 1)
	c.showWatches(v)
	return c.prompt(v)
}

// Begin is the prompt before anything runs, for setting breakpoints.
func (c *Console) Begin() Command {
	c.C.Placed = func(b *Break, line int, ok bool) {
		if !ok || line != b.Line {
			fmt.Fprintln(c.Out, c.describe(b))
		}
	}
	return c.prompt(&view{})
}

func (c *Console) reader() repl.Reader {
	if c.lines == nil {
		c.lines = c.Open()
	}
	return c.lines
}

// Close ends the prompt.
func (c *Console) Close() {
	if c.lines != nil {
		c.lines.Close()
	}
}

// ask is the question before each primitive.
func (c *Console) ask(v *view) Command {
	for {
		line, err := c.reader().ReadLine("do it? [yes, no, all, look] ")
		if err != nil {
			return Abort
		}
		switch strings.ToLower(strings.TrimSpace(line)) {
		case "", "y", "yes":
			return Continue
		case "n", "no":
			return Abort
		case "a", "all":
			c.C.Ask(false)
			return Continue
		case "l", "look":
			return c.prompt(v)
		}
	}
}

func (c *Console) prompt(v *view) Command {
	chunk := ""
	for {
		text := prompt
		if chunk != "" {
			text = repl.MorePrompt
		}
		line, err := c.reader().ReadLine(text)
		if errors.Is(err, repl.ErrInterrupted) {
			chunk = ""
			continue
		}
		if err != nil && line == "" { // nobody is there any more: nothing may wait for them
			c.gone = true
			c.C.Clear(func(*Break) bool { return true })
			return Continue
		}
		line = strings.TrimSpace(line)
		if chunk == "" && line == "" {
			line = c.before
		}
		if chunk == "" && strings.HasPrefix(line, ".") {
			if command, done := c.command(v, line[1:]); done {
				return command
			}
			continue
		}
		chunk += line + "\n"
		if c.evaluate(v, chunk) {
			chunk = ""
		}
	}
}

// evaluate runs Lua at the level, and says whether the chunk was whole.
func (c *Console) evaluate(v *view, chunk string) bool {
	if strings.TrimSpace(chunk) == "" {
		return true
	}
	if v.stop == nil {
		fmt.Fprintln(c.Out, "error: nothing runs yet: .cont begins, .help says more")
		return true
	}
	got, err := v.stop.Eval(v.level(), strings.TrimPrefix(strings.TrimSpace(chunk), "="))
	if errors.Is(err, runtime.ErrIncomplete) && strings.TrimSpace(chunk) != "" {
		return false
	}
	if err != nil {
		fmt.Fprintln(c.Out, "error:", err)
		return true
	}
	for _, value := range got {
		fmt.Fprintln(c.Out, v.stop.Value(value))
	}
	return true
}

func (c *Console) command(v *view, line string) (Command, bool) {
	name, arg, _ := strings.Cut(line, " ")
	for _, b := range verbs() {
		if !slices.Contains(b.names, name) {
			continue
		}
		needs := !slices.Contains([]string{"cont", "break", "delete", "watch", "unwatch", "help", "abort"}, b.names[0])
		if v.stop == nil && needs {
			fmt.Fprintf(c.Out, "error: .%s: nothing runs yet: .cont begins\n", name)
			return stay, false
		}
		command, done := b.run(c, v, strings.TrimSpace(arg))
		c.before = ""
		if done && b.names[0] != "cont" && b.names[0] != "abort" {
			c.before = "." + line
		}
		return command, done
	}
	fmt.Fprintf(c.Out, "error: unknown command .%s: .help lists them\n", name)
	return stay, false
}

func (c *Console) help() {
	for _, b := range verbs() {
		fmt.Fprintf(c.Out, "  %-26s %s\n", "."+strings.Join(b.names, " .")+" "+b.usage, b.doc)
	}
	fmt.Fprintln(c.Out, "  anything else              Lua, run where the flow stopped: x, x = 2, g:status()")
	fmt.Fprintln(c.Out, "An empty line repeats a step.")
}

func (c *Console) setBreak(_ *view, arg string) {
	if arg == "" {
		for _, b := range c.C.Breaks() {
			fmt.Fprintln(c.Out, c.describe(b))
		}
		return
	}
	b, err := ParseBreak(arg, c.File)
	if err != nil {
		fmt.Fprintln(c.Out, "error:", err)
		return
	}
	fmt.Fprintln(c.Out, c.describe(c.C.Set(b)))
}

func (c *Console) describe(b *Break) string {
	text := fmt.Sprintf("breakpoint %d: %s", b.ID, b)
	if b.Line == 0 {
		return text
	}
	line, ok, read := c.C.Verified(b)
	switch {
	case !read:
		return text + ", once such a file is read"
	case !ok:
		return text + ": no statement stands there or after it"
	case line != b.Line:
		return text + fmt.Sprintf(", moved to line %d", line)
	}
	return text
}

func (c *Console) deleteBreak(_ *view, arg string) {
	if arg == "" {
		c.C.Clear(func(*Break) bool { return true })
		return
	}
	n, err := strconv.Atoi(arg)
	if !slices.ContainsFunc(c.C.Breaks(), func(b *Break) bool { return b.ID == n }) || err != nil {
		fmt.Fprintf(c.Out, "error: there is no breakpoint %s\n", arg)
		return
	}
	c.C.Clear(func(b *Break) bool { return b.ID == n })
}

func (c *Console) trace(v *view, _ string) {
	for i, l := range v.stop.Levels {
		mark := "  "
		if i == v.at {
			mark = "> "
		}
		fmt.Fprintf(c.Out, "%s%s: %s\n", mark, l.Pos, l.Name)
	}
}

func (c *Console) move(v *view, by int) {
	if to := v.at + by; to >= 0 && to < len(v.stop.Levels) {
		v.at = to
	}
	fmt.Fprintln(c.Out, v.level().String())
	c.source(v, 1)
}

func (c *Console) locals(v *view, _ string) {
	for _, x := range v.stop.Variables(v.level()) {
		kind := ""
		if x.Up {
			kind = "  (of a function around)"
		}
		fmt.Fprintf(c.Out, "%s = %s%s\n", x.Name, v.stop.Value(x.Value), kind)
	}
}

// source shows the level's line and so many around it.
func (c *Console) source(v *view, around int) {
	lines, at := v.stop.Source(v.level().Pos.File), v.level().Pos.Line
	for n := max(1, at-around); n <= min(len(lines), at+around); n++ {
		mark := " "
		if n == at {
			mark = ">"
		}
		fmt.Fprintf(c.Out, "%s %4d  %s\n", mark, n, lines[n-1])
	}
}

func (c *Console) watch(v *view, arg string) {
	if arg != "" {
		c.watches = append(c.watches, arg)
	}
	c.showWatches(v)
}

func (c *Console) showWatches(v *view) {
	if v.stop == nil {
		return
	}
	for _, w := range c.watches {
		got, err := v.stop.Eval(v.level(), w)
		text := "nil"
		if err != nil {
			text = "error: " + err.Error()
		} else if len(got) > 0 {
			text = v.stop.Value(got[0])
		}
		fmt.Fprintf(c.Out, "%s = %s\n", w, text)
	}
}
