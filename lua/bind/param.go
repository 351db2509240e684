package bind

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	lua "github.com/yuin/gopher-lua"

	"vsl/engine"
)

// Param is a value that a recipe takes from whoever brings it up. Sizes are in
// bytes and durations in seconds.
type Param struct {
	Name    string     `json:"name"`
	Type    string     `json:"type"` // a key of ParamTypes
	Doc     string     `json:"doc,omitempty"`
	Default any        `json:"default,omitempty"`
	Value   any        `json:"value"` // nil where it has none
	From    string     `json:"from"`  // where the value comes from: "-p", "params.json:3", "$VSL_PARAM_COUNT" or "default"; "" where it has none
	Min     *float64   `json:"min,omitempty"`
	Max     *float64   `json:"max,omitempty"`
	Pattern string     `json:"pattern,omitempty"`
	Choices []string   `json:"choices,omitempty"`
	Pos     engine.Pos `json:"pos,omitzero"`

	// Given is the value as it was given, for reading the recipe again; nil
	// where it was not.
	Given *string `json:"-"`
}

// Given is a parameter's value as somebody wrote it.
type Given struct {
	Text string
	From string     // for people
	Pos  engine.Pos // its line, where it has one
	Dir  string     // where its relative paths begin; "" is the current folder
}

// ParamTypes are the kinds of parameter.
var ParamTypes = map[string]*Type{
	"string": String, "int": Int, "number": Number, "bool": Bool, "list": Strings,
	"size": Size, "duration": Duration, "ip": ipText, "cidr": cidrText, "secret": secretType,
}

// paramTexts read a value as it is given on the command line.
var paramTexts = map[string]func(s string) (any, error){
	"string": func(s string) (any, error) { return s, nil },
	"int": func(s string) (any, error) {
		n, err := strconv.ParseInt(s, 10, 53)
		if err != nil {
			return nil, fmt.Errorf("%q is not a whole number", s)
		}
		return n, nil
	},
	"number": func(s string) (any, error) {
		n, err := strconv.ParseFloat(s, 64)
		if err != nil || n-n != 0 {
			return nil, fmt.Errorf("%q is not a number", s)
		}
		return n, nil
	},
	"bool":     parseBool,
	"list":     parseList,
	"size":     func(s string) (any, error) { return ParseSize(s) },
	"duration": func(s string) (any, error) { return ParseDuration(s) },
	"ip":       func(s string) (any, error) { return s, checkPlainIP(s) },
	"cidr":     func(s string) (any, error) { return s, checkCIDR(s) },
}

var ipText = textType("address", `an address, such as "198.51.100.5"`, checkPlainIP)
var cidrText = textType("address range", `an address range, such as "198.51.100.0/24"`, checkCIDR)

// textType is a string that check accepts.
func textType(name, words string, check func(s string) error) *Type {
	return &Type{Name: name, Want: words, Conv: func(_ *Decoder, _ Place, v lua.LValue) (any, error) {
		s, ok := v.(lua.LString)
		if !ok {
			return nil, want(words, v)
		}
		return string(s), check(string(s))
	}}
}

func checkPlainIP(s string) error {
	if a, err := netip.ParseAddr(s); err != nil || a.Zone() != "" {
		return fmt.Errorf(`%q is not an address, such as "198.51.100.5"`, s)
	}
	return nil
}

func checkCIDR(s string) error {
	if _, err := netip.ParsePrefix(s); err != nil {
		return fmt.Errorf(`%q is not an address range, such as "198.51.100.0/24"`, s)
	}
	return nil
}

// ParamSchema is the second argument of param.<kind>.
func ParamSchema(kind string) *Schema {
	s := &Schema{Name: "param." + kind, Doc: "A value given with -p name=value.", Keys: []Key{
		{Name: "default", Type: ParamTypes[kind], Doc: "the value where none is given; without one it must be given"},
		{Name: "doc", Type: String, Doc: "what it is for"},
	}}
	switch kind {
	case "int", "number", "size", "duration":
		s.Keys = append(s.Keys, Key{Name: "min", Type: ParamTypes[kind], Doc: "the least that is allowed"},
			Key{Name: "max", Type: ParamTypes[kind], Doc: "the most that is allowed"})
	case "string", "list":
		s.Keys = append(s.Keys, Key{Name: "choices", Type: Strings, Doc: "the texts that are allowed"},
			Key{Name: "pattern", Type: String, Doc: `a Lua pattern that the whole text must match, such as "%l[%l%d]*"`})
	case "secret":
		s.Doc = "A secret, given as file:PATH or env:NAME."
	}
	return s
}

// Param makes a parameter of the arguments of param.<kind>; given is the value
// that somebody gave, nil where nobody did. With optional none has to be given.
func (d *Decoder) Param(kind, name string, t *lua.LTable, given *Given, optional bool) *Param {
	at := Place{What: fmt.Sprintf("parameter %q", name), Pos: d.Pos}
	v := d.Table(ParamSchema(kind), at, t)
	p := &Param{Name: name, Type: kind, Doc: Get[string](v, "doc"), Default: paramValue(v["default"]), Pos: d.Pos,
		Min: number(v["min"]), Max: number(v["max"]), Choices: Get[[]string](v, "choices"), Pattern: Get[string](v, "pattern")}
	if p.Default != nil {
		p.Value, p.From = p.Default, "default"
		if err := d.checkParam(p, p.Default); err != nil {
			d.Failf(at, "", "default: %v", err)
		}
	}
	switch {
	case given != nil:
		d.givenParam(at, p, given)
	case p.Default == nil && t.RawGetString("default") == lua.LNil && !optional:
		doc := ""
		if p.Doc != "" {
			doc = ": " + p.Doc
		}
		form := "…"
		if kind == "secret" {
			form = "file:PATH"
		}
		d.Failf(at, "give it with -p "+name+"="+form, "has no value and no default%s", doc)
	}
	return p
}

func (d *Decoder) givenParam(at Place, p *Param, given *Given) {
	p.From = given.From
	if given.Pos.File != "" {
		at.Pos = given.Pos
	}
	text := given.Text
	var value any
	var err error
	if p.Type == "secret" {
		if value, text, err = givenSecret(given); err != nil {
			d.Failf(at, "write "+p.Name+"=file:PATH or "+p.Name+"=env:NAME", "%v", err)
			return
		}
	} else if value, err = paramTexts[p.Type](text); err == nil {
		value = paramValue(value)
		err = d.checkParam(p, value)
	}
	p.Given = &text
	if err != nil {
		d.Failf(at, DidYouMean(text, p.Choices), "%v", err)
		return
	}
	p.Value = value
}

// givenSecret reads where a secret is. The text of one is never taken: on a
// command line everybody could read it.
func givenSecret(given *Given) (s *engine.Secret, text string, err error) {
	kind, rest, _ := strings.Cut(given.Text, ":")
	switch {
	case kind == "file" && rest != "":
		path := rest
		if !filepath.IsAbs(path) {
			if path, err = filepath.Abs(filepath.Join(given.Dir, rest)); err != nil {
				return nil, "", err
			}
		}
		s = &engine.Secret{File: path}
	case kind == "env" && rest != "":
		s = &engine.Secret{Env: rest}
	default:
		return nil, "", fmt.Errorf("it takes where the secret is, not the secret: what stands on a command line can be seen with ps")
	}
	return s, s.String(), nil
}

func parseBool(s string) (any, error) {
	switch strings.ToLower(s) {
	case "true", "yes", "on", "1":
		return true, nil
	case "false", "no", "off", "0":
		return false, nil
	}
	return nil, fmt.Errorf("%q is not true or false", s)
}

// parseList reads a,b,c, or a JSON array of strings, whose items may have commas.
func parseList(s string) (any, error) {
	out := []string{}
	if strings.HasPrefix(s, "[") && json.Unmarshal([]byte(s), &out) == nil {
		return out, nil
	}
	out = []string{}
	for _, e := range strings.Split(s, ",") {
		if e = strings.TrimSpace(e); e != "" {
			out = append(out, e)
		}
	}
	return out, nil
}

// paramValue is a converted value as a parameter holds it.
func paramValue(v any) any {
	if dur, ok := v.(time.Duration); ok {
		return dur.Seconds()
	}
	return v
}

// number is a bound as a number; nil where there is none.
func number(v any) *float64 {
	var n float64
	switch v := paramValue(v).(type) {
	case int64:
		n = float64(v)
	case float64:
		n = v
	default:
		return nil
	}
	return &n
}

// checkParam holds a value against min, max, choices and pattern.
func (d *Decoder) checkParam(p *Param, v any) error {
	switch v := v.(type) {
	case []string:
		for _, e := range v {
			if err := d.checkText(p, e); err != nil {
				return err
			}
		}
		return nil
	case string:
		return d.checkText(p, v)
	}
	n := number(v)
	switch {
	case n == nil:
	case p.Min != nil && *n < *p.Min:
		return fmt.Errorf("%s is less than %s", p.Words(*n), p.Words(*p.Min))
	case p.Max != nil && *n > *p.Max:
		return fmt.Errorf("%s is more than %s", p.Words(*n), p.Words(*p.Max))
	}
	return nil
}

func (d *Decoder) checkText(p *Param, s string) error {
	if p.Choices != nil && !slices.Contains(p.Choices, s) {
		return fmt.Errorf("%q is none of %s", s, strings.Join(p.Choices, ", "))
	}
	if p.Pattern == "" || d.Matches == nil {
		return nil
	}
	ok, err := d.Matches(s, p.Pattern)
	if err == nil && !ok {
		err = fmt.Errorf("%q does not match the pattern %q", s, p.Pattern)
	}
	return err
}

// Words writes a value of the parameter's kind as it could be given.
func (p *Param) Words(v any) string {
	n := number(v)
	switch {
	case v == nil:
		return ""
	case p.Type == "size" && n != nil:
		return sizeText(int64(*n))
	case p.Type == "duration" && n != nil:
		return time.Duration(*n * float64(time.Second)).String()
	case n != nil:
		return strconv.FormatFloat(*n, 'f', -1, 64)
	}
	if list, ok := v.([]string); ok {
		return strings.Join(list, ",")
	}
	return fmt.Sprint(v)
}

// sizeText writes a size in the largest unit that divides it.
func sizeText(n int64) string {
	if n < 0 {
		return "unlimited"
	}
	unit := ""
	for _, u := range []string{"K", "M", "G", "T"} {
		if n == 0 || n%1024 != 0 {
			break
		}
		n, unit = n/1024, u
	}
	return strconv.FormatInt(n, 10) + unit
}
