package debug

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"vsl/engine"
	"vsl/lua/api"
	"vsl/lua/bind"
)

// Break is a breakpoint: at a line, at a phase, or at a primitive.
type Break struct {
	ID        int
	File      string
	Line      int    // as asked for
	If        string // an expression; "" is always
	Hits      Hits   // how many times it is passed first
	Log       string // a message to print instead of stopping, with {expressions}
	Phase     string
	Primitive string

	count int            // times that it was reached
	files map[string]int // texts that it is in, and the line at which one can stop there
}

func (b *Break) String() string {
	switch {
	case b.Phase != "":
		return "phase " + b.Phase
	case b.Primitive != "":
		return "on:" + b.Primitive
	}
	text := fmt.Sprintf("%s:%d", b.File, b.Line)
	if b.If != "" {
		text += " if " + b.If
	}
	return text
}

// Verified says at which line the breakpoint stops; ok is false while no text of
// that name was read, or it has no statement there or further down.
func (b *Break) Verified() (line int, ok bool) {
	for _, l := range b.files {
		return l, l > 0
	}
	return b.Line, false
}

func (b *Break) at(pos engine.Pos) bool { return b.Line > 0 && b.files[pos.File] == pos.Line }

// resolve finds the first line at or below the one asked for at which one can
// stop. It is false for a breakpoint of another file.
func (b *Break) resolve(file string, lines []int) bool {
	if b.Line == 0 || !sameFile(file, b.File) {
		return false
	}
	i, _ := slices.BinarySearch(lines, b.Line)
	if b.files == nil {
		b.files = map[string]int{}
	}
	delete(b.files, file)
	if i < len(lines) {
		b.files[file] = lines[i]
	}
	return true
}

// sameFile says whether a text's name is the file that somebody named: by its
// path, or by the end of it.
func sameFile(text, asked string) bool {
	if text == asked || strings.HasSuffix(text, "/"+strings.TrimPrefix(asked, "./")) {
		return true
	}
	a, err1 := filepath.Abs(text)
	b, err2 := filepath.Abs(asked)
	return err1 == nil && err2 == nil && a == b
}

var lineBreak = bind.LazyRE(`^(?:(.+):)?(\d+)$`)

// ParseBreak reads "file:line", "line" of the file that is current, "phase boot"
// or "on:bind_ip", the first two with "if expression" after them.
func ParseBreak(text, current string) (*Break, error) {
	text = strings.TrimSpace(text)
	if phase, ok := strings.CutPrefix(text, "phase "); ok {
		phase = strings.TrimSpace(phase)
		if !slices.Contains(engine.Phases, phase) && phase != "build" {
			return nil, fmt.Errorf("%q is no phase: %s", phase, strings.Join(engine.Phases, ", "))
		}
		return &Break{Phase: phase}, nil
	}
	if name, ok := strings.CutPrefix(text, "on:"); ok {
		if !slices.Contains(api.Primitives, name) {
			return nil, fmt.Errorf("%q is no primitive: %s", name, strings.Join(api.Primitives, ", "))
		}
		return &Break{Primitive: name}, nil
	}
	where, cond, _ := strings.Cut(text, " if ")
	m := lineBreak().FindStringSubmatch(strings.TrimSpace(where))
	if m == nil {
		return nil, fmt.Errorf("%q is no place: write file.lua:12, phase boot or on:bind_ip", where)
	}
	line, err := strconv.Atoi(m[2])
	if err != nil || line < 1 {
		return nil, fmt.Errorf("%s is no line", m[2])
	}
	if m[1] == "" {
		m[1] = current
	}
	if m[1] == "" {
		return nil, fmt.Errorf("line %d of which file? write file.lua:%d", line, line)
	}
	return &Break{File: m[1], Line: line, If: strings.TrimSpace(cond)}, nil
}

// Set adds a breakpoint.
func (c *Controller) Set(b *Break) *Break {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last++
	b.ID = c.last
	for file, lines := range c.lines {
		b.resolve(file, lines)
	}
	c.breaks = append(c.breaks, b)
	return b
}

// Clear removes those breakpoints that which says.
func (c *Controller) Clear(which func(*Break) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.breaks = slices.DeleteFunc(c.breaks, which)
}

// Breaks are the breakpoints there are.
func (c *Controller) Breaks() []*Break {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.breaks)
}

// flowOf is the flow that a thread runs.
func flowOf(l *lua.LState) Flow {
	guest, phase := api.FlowOf(l)
	return Flow{guest, phase}
}
