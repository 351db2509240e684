package language

import (
	"io/fs"
	"strings"

	"vsl/lua/modules"
	"vsl/lua/std"
	"vsl/lua/syntax"
	"vsl/stdlib"
)

// Module is a file that require reads.
type Module struct {
	Name    string
	Path    string // "" is the standard library
	File    *syntax.File
	Members map[string]*Export
	Open    bool // it may have members that cannot be seen from its text
}

// Export is one member of the table that a module returns.
type Export struct {
	Word
	Params  string // "(s, sep)"; "" is no function
	Example string // an expression, and behind --> what it gives
	At      syntax.Span
}

// Finder reads a module that is not of the standard library, as modules.Folders do.
type Finder func(name string) (*modules.File, error)

// FindModule reads a module: of the standard library, or by find, which may be nil.
func FindModule(name string, find Finder) *Module {
	m := &Module{Name: name}
	var text string
	if strings.HasPrefix(name, "vsl.") {
		data, err := fs.ReadFile(stdlib.FS, strings.ReplaceAll(name, ".", "/")+".lua")
		if err != nil {
			return nil
		}
		text = string(data)
	} else {
		if find == nil {
			return nil
		}
		file, err := find(name)
		if err != nil {
			return nil
		}
		m.Path, text = file.Path, string(file.Text)
	}
	m.File = syntax.Parse(text)
	m.Members = map[string]*Export{}
	m.exports()
	if name == std.Module {
		m.native()
	}
	return m
}

// native adds the members that are made in Go.
func (m *Module) native() {
	for _, n := range std.Members() {
		w := Word{Name: m.Name + "." + n.Name, Doc: n.Doc, Sig: n.Sig, Function: n.Function()}
		if strings.HasSuffix(n.Sig, "): string") {
			w.Gives = "string"
		}
		if n.Sig == "" {
			w.Members = map[string]*Word{}
		}
		if table, short, ok := strings.Cut(n.Name, "."); ok {
			m.Members[table].Members[short] = &w
			continue
		}
		m.Members[n.Name] = &Export{Word: w, Example: n.Example}
	}
}

// StdlibModules names the modules of the standard library.
func StdlibModules() []string {
	var names []string
	entries, err := fs.ReadDir(stdlib.FS, "vsl")
	if err != nil { // embedded: it is there
		return nil
	}
	for _, e := range entries {
		names = append(names, "vsl."+strings.TrimSuffix(e.Name(), ".lua"))
	}
	return names
}

// exports finds what the module's last statement returns: a table written there, or
// a local with what is set in it at the outermost level.
func (m *Module) exports() {
	stmts := m.File.Body.Stmts
	m.Open = true
	if len(stmts) == 0 || len(m.File.Errors) > 0 {
		return
	}
	ret, ok := stmts[len(stmts)-1].(*syntax.Return)
	if !ok || len(ret.Values) != 1 {
		return
	}
	switch v := ret.Values[0].(type) {
	case *syntax.Table:
		m.Open = !m.fields(v)
	case *syntax.Ident:
		if v.Local == nil || len(v.Local.Writes) > 0 {
			return
		}
		if t, ok := v.Local.Value.(*syntax.Table); ok && m.fields(t) {
			m.Open = !m.assigned(v.Local, stmts)
		}
	}
}

// fields takes a constructor's; it says whether these are all.
func (m *Module) fields(t *syntax.Table) bool {
	whole := true
	for _, f := range t.Fields {
		name, ok := f.Name()
		if whole = whole && ok; ok {
			m.add(name, f.Span, f.Key.Where(), f.Value)
		}
	}
	return whole
}

// assigned takes what statements set in a local table. It is not all when the table
// is used in another way than to set or call a member.
func (m *Module) assigned(l *syntax.Local, stmts []syntax.Stmt) bool {
	member := func(e syntax.Expr) (*syntax.Const, bool) {
		i, ok := e.(*syntax.Index)
		if !ok {
			return nil, false
		}
		id, ok := i.Obj.(*syntax.Ident)
		key, ok2 := i.Key.(*syntax.Const)
		return key, ok && ok2 && id.Local == l
	}
	for _, s := range stmts {
		switch s := s.(type) {
		case *syntax.FuncStmt:
			if key, ok := member(s.Target); ok {
				m.add(key.Value.(string), s.Span, key.Span, s.Func)
			} else if id, ok := s.Target.(*syntax.Ident); ok && id.Local == l && s.Method != nil {
				m.add(s.Method.Value.(string), s.Span, s.Method.Span, s.Func)
			}
		case *syntax.Assign:
			for i, t := range s.Targets {
				if key, ok := member(t); ok && i < len(s.Values) {
					if name, ok := key.Value.(string); ok {
						m.add(name, s.Span, key.Span, s.Values[i])
					}
				}
			}
		}
	}
	uses := 0
	syntax.Walk(m.File.Body, func(n syntax.Node) bool {
		if e, ok := n.(*syntax.Index); ok {
			if _, ok := member(e); ok {
				uses++
			}
		}
		if s, ok := n.(*syntax.FuncStmt); ok && s.Method != nil {
			if id, ok := s.Target.(*syntax.Ident); ok && id.Local == l {
				uses++
			}
		}
		return true
	})
	return uses == len(l.Reads)-1 // the last is the return
}

func (m *Module) add(name string, stmt, at syntax.Span, v syntax.Expr) {
	e := &Export{Word: Word{Name: m.Name + "." + name, Doc: CommentAbove(m.File, stmt.From)}, At: at}
	if fn, ok := v.(*syntax.Func); ok {
		e.Function, e.Params = true, Params(fn)
		e.Doc = strings.TrimPrefix(e.Doc, name+" ")
		if at := strings.LastIndex(e.Doc, "\n"); at >= 0 && strings.Contains(e.Doc[at:], " --> ") {
			e.Doc, e.Example = e.Doc[:at], e.Doc[at+1:]
		}
	}
	m.Members[name] = e
}

// Params writes a function's parameters as they are declared.
func Params(fn *syntax.Func) string {
	var names []string
	for _, p := range fn.Params {
		names = append(names, p.Name)
	}
	if fn.Vararg {
		names = append(names, "...")
	}
	return "(" + strings.Join(names, ", ") + ")"
}

// CommentAbove is the text of the comment lines directly above an offset's line.
func CommentAbove(f *syntax.File, at int) string {
	line, _ := f.Lines.Line(at)
	var out []string
	for n := line - 1; n >= 0; n-- {
		text := strings.TrimSpace(f.Lines.Text(n))
		if !strings.HasPrefix(text, "--") || strings.HasPrefix(text, "--[") {
			break
		}
		out = append([]string{strings.TrimSpace(strings.TrimLeft(text, "-"))}, out...)
	}
	return strings.Join(out, "\n")
}
