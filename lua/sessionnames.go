package lua

import (
	"context"
	"slices"
	"strings"

	glua "github.com/yuin/gopher-lua"

	"vsl/lua/api"
	"vsl/lua/bind"
	"vsl/lua/syntax"
)

var nameAtEnd = bind.LazyRE(`((?:[A-Za-z_]\w*[.:])*)([A-Za-z_]\w*)?$`)

// Names gives what the name that a text ends with may go on as, from what the
// session's values are now; from is where that name's last part begins. Nothing
// of the user's is run for it.
func (s *Session) Names(text string) (names []string, from int) {
	m := nameAtEnd().FindStringSubmatchIndex(text)
	path, last := text[m[2]:m[3]], ""
	from = len(text)
	if m[4] >= 0 {
		last, from = text[m[4]:m[5]], m[4]
	}
	// Do gives back only what the function does, and that is nil here.
	_ = s.api.S.Do(context.Background(), func(l *glua.LState) error {
		names = s.members(l, path)
		return nil
	})
	names = slices.DeleteFunc(names, func(n string) bool { return !strings.HasPrefix(n, last) || !syntax.IsName(n) && path != "" })
	slices.Sort(names)
	return slices.Compact(names), from
}

// members are the names below a path such as "guests.web:", "" the globals.
func (s *Session) members(l *glua.LState, path string) []string {
	if path == "" {
		return append(s.api.S.Globals(), syntax.Keywords()...)
	}
	value := glua.LValue(l.G.Global)
	calls := strings.HasSuffix(path, ":")
	for _, part := range strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == ':' }) {
		t, ok := value.(*glua.LTable)
		if !ok {
			return nil
		}
		value = t.RawGetString(part)
	}
	var names []string
	switch v := value.(type) {
	case *glua.LTable:
		v.ForEach(func(k, _ glua.LValue) { names = append(names, k.String()) })
	case glua.LString:
		if lib, ok := s.api.S.GetGlobal("string").(*glua.LTable); ok && calls {
			lib.ForEach(func(k, _ glua.LValue) { names = append(names, k.String()) })
		}
	case *glua.LUserData:
		if _, ok := v.Value.(*api.Handle); ok {
			names = api.HandleNames(calls)
		}
	}
	return names
}
