package bind

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"

	lua "github.com/yuin/gopher-lua"

	"vsl/engine"
)

var (
	nameRE   = LazyRE(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$`)
	sha256RE = LazyRE(`^[0-9a-fA-F]{64}$`)
)

// CheckName refuses names that could not be a directory, a cgroup and a host
// name at once.
func CheckName(name string) error {
	if !nameRE().MatchString(name) {
		return fmt.Errorf("%q is not a name: use 1 to 63 letters, digits, - _ and ., beginning with a letter or digit", name)
	}
	return nil
}

// DebianSchema is debian {}.
var DebianSchema = &Schema{Name: "debian", Doc: "A Debian or Ubuntu root made by mmdebstrap.", Keys: []Key{
	{Name: "suite", Type: String, Default: "the host's own, or stable", Doc: `the release, such as "bookworm"`},
	{Name: "mirror", Type: String, Default: "the host's own", Doc: "URL of the archive"},
	{Name: "variant", Type: String, Default: "minbase", Doc: "a mmdebstrap variant"},
	{Name: "packages", Type: Strings, Doc: "packages beside the variant's"},
}}

// TarSchema is tar {}.
var TarSchema = &Schema{Name: "tar", Doc: "A root unpacked from an archive (plain, gz, xz, zst).", Keys: []Key{
	{Name: "path", Type: String, Required: true, Doc: "the archive, relative to the recipe's folder"},
	{Name: "sha256", Type: String, Doc: "the archive's digest: with another one there is no template", Check: func(v any) error {
		if !sha256RE().MatchString(v.(string)) {
			return fmt.Errorf("%q is not 64 hexadecimal digits", v)
		}
		return nil
	}},
	{Name: "max_size", Type: Size, Default: "16G", Doc: "what the files in it may hold together, holes included", Check: func(v any) error {
		if v.(int64) <= 0 {
			return errors.New("must be more than 0")
		}
		return nil
	}},
}}

// TemplateSchema is template "name" {}.
var TemplateSchema = &Schema{Name: "template", Doc: "A read-only root that guests are cloned from.", Keys: []Key{
	{Name: "from", Type: SourceType, Default: "host()", Doc: "the base: host(), debian {}, tar {} or another template"},
	{Name: "build", Type: Func, Doc: "flow that runs once in a context of its own and changes the base"},
	{Name: "net", Type: netMode, Default: "none", Doc: "network of the build context"},
}}

var netMode = Choice("bind", "none")

// SourceType accepts a source or a template; it converts to engine.Source.
var SourceType = &Type{Name: "source", Want: "host(), debian {}, tar {} or a template", Conv: func(_ *Decoder, _ Place, v lua.LValue) (any, error) {
	if ud, ok := v.(*lua.LUserData); ok {
		switch s := ud.Value.(type) {
		case *engine.Source:
			return *s, nil
		case *engine.Template:
			return engine.Source{Kind: "template", Template: s.Name}, nil
		}
	}
	if f, ok := v.(*lua.LFunction); ok && f.IsG {
		return nil, &Error{Msg: "must be host(), debian {}, tar {} or a template, not a function", Hint: "call it: host()"}
	}
	return nil, want("host(), debian {}, tar {} or a template", v)
}}

// Debian makes a source of debian's argument. The suite is never left open: a
// record, a plan and the template's key all say which one it is, so that another
// release of the host shows as a change.
func (d *Decoder) Debian(t *lua.LTable) *engine.Source {
	v := d.Table(DebianSchema, Place{What: "debian", Pos: d.Pos}, t)
	suite := Get[string](v, "suite")
	if suite == "" {
		suite = engine.HostSuite()
	}
	return &engine.Source{Kind: "debian", Suite: suite, Mirror: Get[string](v, "mirror"),
		Variant: Get[string](v, "variant"), Packages: Get[[]string](v, "packages")}
}

// Tar makes a source of tar's argument: a table or the path.
func (d *Decoder) Tar(arg lua.LValue) *engine.Source {
	at := Place{What: "tar", Pos: d.Pos}
	src := &engine.Source{Kind: "tar"}
	switch arg := arg.(type) {
	case lua.LString:
		src.Path = string(arg)
	case *lua.LTable:
		v := d.Table(TarSchema, at, arg)
		src.Path, src.SHA256, src.MaxSize = Get[string](v, "path"), Get[string](v, "sha256"), Get[int64](v, "max_size")
	default:
		d.Failf(at, "", "must be a path or a table, not %s", Describe(arg))
	}
	if src.Path != "" && !filepath.IsAbs(src.Path) {
		src.Path = filepath.Join(d.Dir, src.Path)
	}
	return src
}

// Template makes a template and gives its build flow, nil where there is none.
func (d *Decoder) Template(name string, t *lua.LTable) (*engine.Template, *lua.LFunction) {
	at := Place{What: fmt.Sprintf("template %q", name), Pos: d.Pos}
	if err := CheckName(name); err != nil {
		d.Failf(at, "", "%v", err)
	}
	v := d.Table(TemplateSchema, at, t)
	tmpl := &engine.Template{Name: name, From: engine.Source{Kind: "host"}, Pos: d.Pos}
	if s := Opt[engine.Source](v, "from"); s != nil {
		tmpl.From = *s
	}
	tmpl.Net.Mode = Get[string](v, "net")
	return tmpl, Get[*lua.LFunction](v, "build")
}

// Anonymous makes a template of a source that was given without a name.
func Anonymous(src engine.Source, pos engine.Pos) *engine.Template {
	if src.Kind == "host" {
		return &engine.Template{Name: "host", From: src, Pos: pos}
	}
	src.MaxSize = 0 // says nothing of what it is
	data, err := json.Marshal(src)
	if err != nil { // strings only: cannot happen
		data = []byte(src.Kind)
	}
	sum := sha256.Sum256(data)
	return &engine.Template{Name: src.Kind + "-" + hex.EncodeToString(sum[:4]), From: src, Pos: pos}
}
