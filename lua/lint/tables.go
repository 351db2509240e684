package lint

import (
	"fmt"
	"strings"

	glua "github.com/yuin/gopher-lua"

	"vsl/lua/bind"
	"vsl/lua/language"
	"vsl/lua/syntax"
)

// decoding gives tables of the text to the decoder that reads recipes. Places are
// handed through it as lines: line n is offset n-1.
type decoding struct {
	l      *linter
	tables map[*glua.LTable]*syntax.Table
	fields map[int]*syntax.Field // by the offset of their keys
	open   map[int]bool          // tables, by offset, that may have keys which are not seen
	depth  int
	count  int
}

// Tables are followed through names so deep, and so many of them: each name may
// hold the one before twice.
const (
	maxDecode = 50
	maxTables = 10000
)

func (l *linter) tables() {
	syntax.Walk(l.f.Body, func(n syntax.Node) bool {
		if t, ok := n.(*syntax.Table); ok {
			l.duplicates(t)
		}
		return true
	})
	for _, c := range l.a.Calls {
		for _, arg := range c.Args {
			t, ok := arg.(*syntax.Table)
			if !ok {
				continue
			}
			if use := l.a.Tables[t]; use != nil && use.Call == c {
				l.decode(t, use)
			}
		}
	}
	for t, use := range l.a.Tables { // what pool's each returns, and what is merged
		if use.Call == nil && use.Key == nil && use.Schema != nil {
			l.decode(t, use)
		}
	}
}

func (l *linter) duplicates(t *syntax.Table) {
	first := map[string]*syntax.Field{}
	for _, f := range t.Fields {
		name, ok := f.Name()
		if !ok {
			continue
		}
		if o := first[name]; o != nil {
			line, _ := l.f.Lines.At(o.From)
			l.add("duplicate-key", f.Key.Where(), fmt.Sprintf("the table has the key %q already, from line %d", name, line), "leave one of the two out")
			continue
		}
		first[name] = f
	}
}

// decode reads one table as the recipe would.
func (l *linter) decode(t *syntax.Table, use *language.Use) {
	d := &decoding{l: l, tables: map[*glua.LTable]*syntax.Table{}, fields: map[int]*syntax.Field{}, open: map[int]bool{}}
	dec := &bind.Decoder{Where: d.where, Pos: bind.Pos{File: l.name, Line: t.From + 1}}
	v := d.table(t)
	skip := 0
	if use.Word != nil && use.Word.Acts && !use.Word.Method && use.Schema.Items == nil {
		skip = 2 // the guest, and a table of further keys
	}
	if skip > 0 {
		for i := range skip {
			v.RawSetInt(i+1, glua.LNil)
		}
	}
	if use.Call == nil {
		d.open[t.From] = true
	}
	d.run(dec, t, use, v)
	for _, err := range dec.Errs {
		if e, ok := err.(*bind.Error); ok {
			d.report(e, t, use)
		}
	}
}

// run calls the decoder of the word, or where not all is known that of the table alone.
func (d *decoding) run(dec *bind.Decoder, t *syntax.Table, use *language.Use, v *glua.LTable) {
	word := ""
	if use.Word != nil {
		word = use.Word.Name
	}
	name, known := "", false
	if c, ok := use.Name.(*syntax.Const); ok {
		name, known = c.Value.(string)
	}
	kind := word[strings.LastIndexByte(word, '.')+1:]
	switch {
	case word == "guest" && known:
		dec.Guest(name, v)
	case word == "template" && known:
		dec.Template(name, v)
	case word == "pool" && known:
		dec.Pool(name, v)
	case strings.HasPrefix(word, "probe.") && d.constant(t):
		dec.Probe(kind, v)
	case strings.HasPrefix(word, "param.") && len(use.Call.Args) == 2:
		if c, ok := use.Call.Args[0].(*syntax.Const); ok {
			name, _ = c.Value.(string)
		}
		dec.Param(kind, name, v, nil, true)
	default:
		place := bind.Place{What: word}
		if word == "" {
			place.What = use.Schema.Name
		}
		dec.Table(use.Schema, place, v)
	}
}

// constant says that a table's list part is known.
func (d *decoding) constant(t *syntax.Table) bool {
	for _, f := range t.Fields {
		if _, ok := f.Value.(*syntax.Const); f.Key == nil && !ok {
			return false
		}
	}
	return !d.open[t.From]
}

// report makes a finding of the decoder's mistake.
func (d *decoding) report(e *bind.Error, root *syntax.Table, use *language.Use) {
	at := e.Pos.Line - 1
	rule := e.Rule
	var span syntax.Span
	f := d.fields[at]
	switch {
	case rule == bind.MissingKey && d.open[at]:
		return
	case rule == bind.UnknownKey && f != nil && f.Key != nil:
		span = f.Key.Where()
	case f != nil && rule == "":
		span = f.Value.Where()
	case at == root.From && use.Call != nil:
		span = calleeSpan(use.Call)
		if inner, ok := use.Call.Func.(*syntax.Call); ok && use.Call.Method == nil {
			span = inner.Span
		}
	default:
		span = syntax.Span{From: at, To: at + 1}
	}
	if rule == "" {
		rule = "value"
	}
	d.l.add(rule, span, e.Msg, e.Hint)
}

// where is the decoder's question for the place of a key.
func (d *decoding) where(t *glua.LTable, key glua.LValue) bind.Pos {
	src := d.tables[t]
	if src == nil {
		return bind.Pos{}
	}
	at := src.From
	item := 0
	for _, f := range src.Fields {
		if f.Key == nil {
			item++
			if n, ok := key.(glua.LNumber); ok && int(n) == item {
				at = f.From
			}
			continue
		}
		if name, ok := f.Name(); ok && key == glua.LString(name) {
			at = f.From
		}
	}
	return bind.Pos{File: d.l.name, Line: at + 1}
}

func bad() glua.LValue { return &glua.LUserData{Value: bind.Bad{}, Metatable: glua.LNil} }

func (d *decoding) table(t *syntax.Table) *glua.LTable {
	out := &glua.LTable{Metatable: glua.LNil}
	d.tables[out] = t
	d.count++
	item := 0
	for i, f := range t.Fields {
		if d.fields[f.From] == nil {
			d.fields[f.From] = f
		}
		if f.Key == nil {
			item++
			if i == len(t.Fields)-1 && several(f.Value) {
				d.open[t.From] = true
			}
			out.RawSetInt(item, d.value(f.Value))
			continue
		}
		key := d.value(f.Key)
		switch k := key.(type) {
		case glua.LString, glua.LNumber:
			out.RawSet(key, d.value(f.Value))
		case *glua.LUserData:
			d.open[t.From] = true
			out.RawSet(k, d.value(f.Value))
		}
	}
	return out
}

func several(e syntax.Expr) bool {
	switch e.(type) {
	case *syntax.Call, *syntax.Vararg:
		return true
	}
	return false
}

// value is what an expression is known to be, else a stand-in that fits everywhere.
func (d *decoding) value(e syntax.Expr) glua.LValue {
	if d.depth++; d.depth > maxDecode || d.count > maxTables {
		d.depth--
		return bad()
	}
	defer func() { d.depth-- }()
	switch e := e.(type) {
	case *syntax.Const:
		return constant(e)
	case *syntax.Table:
		return d.table(e)
	case *syntax.Func:
		return &glua.LFunction{}
	case *syntax.Paren:
		return d.value(e.X)
	case *syntax.Unary:
		if n, ok := d.value(e.X).(glua.LNumber); ok && e.Op == "-" {
			return -n
		}
	case *syntax.Ident:
		return d.name(e)
	case *syntax.Index:
		if w := d.l.a.TypeOf(e).Word; w != nil && w.Function && !w.Method {
			return &glua.LFunction{IsG: true}
		}
	}
	return bad()
}

func (d *decoding) name(id *syntax.Ident) glua.LValue {
	v := id.Local
	if v == nil {
		if w := d.l.lang.Globals[id.Name]; w != nil && w.Function {
			return &glua.LFunction{IsG: true}
		}
		return bad()
	}
	if v.Kind != syntax.Variable && v.Kind != syntax.Function || len(v.Writes) > 0 || v.Value == nil {
		return bad()
	}
	switch x := v.Value.(type) {
	case *syntax.Table:
		t := d.table(x)
		d.open[x.From] = true // fields may be set later
		return t
	case *syntax.Const, *syntax.Func:
		return d.value(x)
	}
	return bad()
}

func constant(c *syntax.Const) glua.LValue {
	switch v := c.Value.(type) {
	case bool:
		return glua.LBool(v)
	case float64:
		return glua.LNumber(v)
	case string:
		return glua.LString(v)
	}
	return glua.LNil
}
