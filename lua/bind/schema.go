package bind

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strconv"

	lua "github.com/yuin/gopher-lua"

	"vsl/engine"
)

// Schema describes the table that declares one object.
type Schema struct {
	Name string // "guest"
	Doc  string // one sentence
	Keys []Key
	// Items is what the list part holds (argv of exec); nil allows none.
	Items *Type
}

// Key is one key of a schema.
type Key struct {
	Name     string
	Type     *Type
	Default  string // in words or as it would be written; "" is none
	Doc      string // a sentence
	Required bool
	Live     bool // takes effect on a running guest
	// Check looks at the converted value; nil accepts all.
	Check func(v any) error
}

// Type converts one kind of value.
type Type struct {
	Name string  // in documentation: "size"
	Want string  // in errors: "a size, such as \"256M\""
	Sub  *Schema // of a table's own keys
	Form Form    // where the tables of Sub are
	// Names are the strings of a Choice, or the keys that a table of names may have.
	Names []string
	Conv  func(d *Decoder, at Place, v lua.LValue) (any, error)
}

// Form says which tables a type's Sub describes.
type Form int

// The forms: the value itself, the items of a list, either of them, or what stands
// under names of the recipe's own.
const (
	Itself Form = iota
	Items
	ItemsOrItself
	ByName
)

// Values are the converted values of one table by key; the list part is under "".
type Values map[string]any

// Get gives a key's value, or the zero value when it is not set.
func Get[T any](v Values, key string) T {
	t, _ := v[key].(T)
	return t
}

// Opt gives a pointer to a key's value, or nil when it is not set.
func Opt[T any](v Values, key string) *T {
	if t, ok := v[key].(T); ok {
		return &t
	}
	return nil
}

// Place is where in a declaration a value stands.
type Place struct {
	What string // guest "web"
	Key  string // limit.memory; "" is the table itself
	Pos  engine.Pos
}

func (p Place) item(i int) Place {
	p.Key += "[" + strconv.Itoa(i) + "]"
	return p
}

// Decoder collects the mistakes of one declaration.
type Decoder struct {
	// Where gives the line at which a key of a table was written, as far as is
	// known; a nil key asks for the table itself.
	Where func(t *lua.LTable, key lua.LValue) engine.Pos
	Pos   engine.Pos // of the call
	Dir   string     // relative host paths begin here
	Errs  []error
	Keys  map[string]engine.Pos
	// Matches tells whether a Lua pattern matches the whole of a text; nil does
	// not look.
	Matches func(text, pattern string) (bool, error)
}

// errSilent marks a value whose mistake was reported before.
var errSilent = errors.New("reported before")

// Bad stands in for a value that could not be made, or is not known, so that
// reading goes on.
type Bad struct{}

func isBad(v lua.LValue) bool {
	ud, ok := v.(*lua.LUserData)
	if !ok {
		return false
	}
	_, bad := ud.Value.(Bad)
	return bad
}

// Failf reports a mistake.
func (d *Decoder) Failf(at Place, hint, format string, args ...any) {
	d.fail("", at, hint, format, args...)
}

func (d *Decoder) fail(rule string, at Place, hint, format string, args ...any) {
	msg := fmt.Sprintf(format, args...)
	if at.Key != "" {
		msg = at.Key + ": " + msg
	}
	if at.What != "" {
		msg = at.What + ": " + msg
	}
	pos := at.Pos
	if pos.File == "" {
		pos = d.Pos
	}
	d.Errs = append(d.Errs, &Error{Pos: pos, Msg: msg, Hint: hint, Rule: rule})
}

func (d *Decoder) where(t *lua.LTable, key lua.LValue, fallback engine.Pos) engine.Pos {
	if d.Where != nil {
		if p := d.Where(t, key); p.File != "" {
			return p
		}
	}
	return fallback
}

// Table converts a table by its schema. Mistakes go to d.Errs; what was right
// is in the result all the same.
func (d *Decoder) Table(s *Schema, at Place, t *lua.LTable) Values {
	at.Pos = d.where(t, nil, at.Pos)
	out := Values{}
	var items []any
	n := t.Len()
	known := make(map[string]*Key, len(s.Keys))
	for i := range s.Keys {
		known[s.Keys[i].Name] = &s.Keys[i]
	}
	Each(t, func(k, v lua.LValue) {
		if num, ok := k.(lua.LNumber); ok && s.Items != nil && num >= 1 && int(num) <= n && float64(num) == float64(int(num)) {
			return
		}
		name, ok := k.(lua.LString)
		key := known[string(name)]
		if ok && key != nil {
			d.key(key, at, t, v, out)
			return
		}
		here := at
		here.Pos = d.where(t, k, at.Pos)
		d.unknown(s, here, k)
	})
	for i := 1; s.Items != nil && i <= n; i++ {
		here := at.item(i)
		here.Pos = d.where(t, lua.LNumber(i), at.Pos)
		if v, ok := d.conv(s.Items, here, t.RawGetInt(i)); ok {
			items = append(items, v)
		}
	}
	if items != nil {
		out[""] = items
	}
	for i := range s.Keys {
		if k := &s.Keys[i]; k.Required && t.RawGetString(k.Name) == lua.LNil {
			d.fail(MissingKey, at, "", "%s is missing: %s", k.Name, k.Doc)
		}
	}
	return out
}

func (d *Decoder) key(k *Key, at Place, t *lua.LTable, v lua.LValue, out Values) {
	here := at
	here.Key = join(at.Key, k.Name)
	here.Pos = d.where(t, lua.LString(k.Name), at.Pos)
	if d.Keys != nil {
		d.Keys[here.Key] = here.Pos
	}
	conv, ok := d.conv(k.Type, here, v)
	if !ok {
		return
	}
	if k.Check != nil {
		if err := k.Check(conv); err != nil {
			d.Failf(here, "", "%v", err)
			return
		}
	}
	out[k.Name] = conv
}

// conv converts one value, reporting its mistake.
func (d *Decoder) conv(t *Type, at Place, v lua.LValue) (any, bool) {
	if isBad(v) {
		return nil, false
	}
	out, err := t.Conv(d, at, v)
	if err == nil {
		return out, true
	}
	var e *Error
	switch {
	case err == errSilent:
	case errors.As(err, &e):
		d.Failf(at, e.Hint, "%s", e.Msg)
	default:
		d.Failf(at, "", "%v", err)
	}
	return nil, false
}

func (d *Decoder) unknown(s *Schema, at Place, k lua.LValue) {
	names := s.KeyNames()
	switch k := k.(type) {
	case lua.LString:
		hint := Foreign(s.Name, string(k))
		if hint == "" {
			hint = DidYouMean(string(k), names)
		}
		if hint == "" {
			hint = "known: " + list(names)
		}
		d.fail(UnknownKey, at, hint, "unknown key %q", string(k))
	case lua.LNumber:
		d.Failf(at, "known: "+list(names), "a value without a key")
	default:
		if isBad(k) {
			return
		}
		d.Failf(at, "known: "+list(names), "a %s is not a key", k.Type())
	}
}

// KeyNames lists the schema's keys.
func (s *Schema) KeyNames() []string {
	names := make([]string, len(s.Keys))
	for i, k := range s.Keys {
		names[i] = k.Name
	}
	return names
}

func list(names []string) string {
	sorted := append([]string(nil), names...)
	sort.Strings(sorted)
	out := ""
	for i, n := range sorted {
		if i > 0 {
			out += ", "
		}
		out += n
	}
	return out
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "." + b
}

// Describe words a value for an error: `the string "x"`, `a table`.
func Describe(v lua.LValue) string {
	switch v := v.(type) {
	case lua.LString:
		s := string(v)
		if len(s) > 40 {
			s = s[:40] + "…"
		}
		return "the string " + strconv.Quote(s)
	case lua.LNumber:
		return "the number " + v.String()
	case lua.LBool:
		return v.String()
	case *lua.LNilType:
		return "nil"
	case *lua.LUserData:
		if n, ok := v.Value.(interface{ LuaType() string }); ok {
			return "a " + n.LuaType()
		}
		switch v.Value.(type) {
		case *engine.Probe:
			return "a probe"
		case *engine.Source:
			return "a source"
		case *engine.Template:
			return "a template"
		}
		return "an object"
	}
	return "a " + v.Type().String()
}

// Each visits a table's entries, the list part first and names in the order in
// which they were set, unlike the table's own ForEach.
func Each(t *lua.LTable, f func(k, v lua.LValue)) {
	for k, v := t.Next(lua.LNil); k != lua.LNil; k, v = t.Next(k) {
		f(k, v)
	}
}

// eachNamed visits the entries of a table of names that the recipe chooses, each at
// its own place. wrong is told of keys that are no names, or not valid ones.
func (d *Decoder) eachNamed(t *lua.LTable, at Place, valid func(name string) bool, wrong func(here Place, k lua.LValue), f func(here Place, name string, v lua.LValue)) {
	Each(t, func(k, v lua.LValue) {
		here := at
		here.Pos = d.where(t, k, at.Pos)
		name, ok := k.(lua.LString)
		switch {
		case isBad(k): // told already
		case !ok || !valid(string(name)):
			wrong(here, k)
		default:
			here.Key = join(at.Key, string(name))
			f(here, string(name), v)
		}
	})
}

// Schemas lists every object and call of the language, for documentation and
// completion.
func Schemas() []*Schema {
	all := []*Schema{GuestSchema, TemplateSchema, DebianSchema, TarSchema, LimitSchema, IOSchema, RlimitSchema, SchedSchema,
		AddressSchema, HooksSchema, TimeoutSchema, StopSchema, stopStep, PoolSchema, SecretSchema, ContextSchema, CowCloneSchema, BindIPSchema, BootSchema, KillSchema,
		ExecSchema, WriteSchema, MkdirSchema, WaitSchema, RetrySchema, ParallelSchema}
	for _, kind := range slices.Sorted(maps.Keys(ProbeSchemas)) {
		all = append(all, ProbeSchemas[kind])
	}
	for _, kind := range slices.Sorted(maps.Keys(ParamTypes)) {
		all = append(all, ParamSchema(kind))
	}
	return all
}
