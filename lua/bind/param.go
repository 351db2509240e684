package bind

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"vsl/engine"
)

// Param is a value that a recipe takes from the command line.
type Param struct {
	Name    string     `json:"name"`
	Type    string     `json:"type"` // string, int, number, bool or list
	Doc     string     `json:"doc,omitempty"`
	Default any        `json:"default,omitempty"`
	Value   any        `json:"value"`
	Given   bool       `json:"given"` // on the command line
	Min     *float64   `json:"min,omitempty"`
	Max     *float64   `json:"max,omitempty"`
	Choices []string   `json:"choices,omitempty"`
	Pos     engine.Pos `json:"pos,omitzero"`
}

// ParamTypes are the kinds of parameter.
var ParamTypes = map[string]*Type{"string": String, "int": Int, "number": Number, "bool": Bool, "list": Strings}

// ParamSchema is the second argument of param.<kind>.
func ParamSchema(kind string) *Schema {
	return &Schema{Name: "param." + kind, Doc: "A value given with -p name=value.", Keys: []Key{
		{Name: "default", Type: ParamTypes[kind], Doc: "the value where none is given"},
		{Name: "min", Type: Number, Doc: "least number"},
		{Name: "max", Type: Number, Doc: "greatest number"},
		{Name: "choices", Type: Strings, Doc: "the strings allowed"},
		{Name: "doc", Type: String, Doc: "what it is for"},
	}}
}

// Param makes a parameter of the arguments of param.<kind>; given is its value
// on the command line, nil where it has none.
func (d *Decoder) Param(kind, name string, t *lua.LTable, given *string) *Param {
	at := Place{What: fmt.Sprintf("parameter %q", name), Pos: d.Pos}
	v := d.Table(ParamSchema(kind), at, t)
	p := &Param{Name: name, Type: kind, Doc: Get[string](v, "doc"), Default: v["default"], Pos: d.Pos,
		Min: Opt[float64](v, "min"), Max: Opt[float64](v, "max"), Choices: Get[[]string](v, "choices")}
	p.Value = p.Default
	if p.Default != nil {
		if err := p.check(p.Default); err != nil {
			d.Failf(at, "", "default: %v", err)
		}
	}
	switch {
	case given != nil:
		p.Given = true
		value, err := parseParam(kind, *given)
		if err == nil {
			err = p.check(value)
		}
		if err != nil {
			d.Failf(at, DidYouMean(*given, p.Choices), "%v", err)
			break
		}
		p.Value = value
	case p.Default == nil:
		doc := ""
		if p.Doc != "" {
			doc = ": " + p.Doc
		}
		d.Failf(at, "give it with -p "+name+"=…", "has no value and no default%s", doc)
	}
	if p.Value == nil {
		p.Value = map[string]any{"string": "", "int": int64(0), "number": 0.0, "bool": false, "list": []string{}}[kind]
	}
	return p
}

func parseParam(kind, s string) (any, error) {
	switch kind {
	case "int":
		n, err := strconv.ParseInt(s, 10, 53)
		if err != nil {
			return nil, fmt.Errorf("%q is not a whole number", s)
		}
		return n, nil
	case "number":
		n, err := strconv.ParseFloat(s, 64)
		if err != nil || n-n != 0 {
			return nil, fmt.Errorf("%q is not a number", s)
		}
		return n, nil
	case "bool":
		switch strings.ToLower(s) {
		case "true", "yes", "on", "1":
			return true, nil
		case "false", "no", "off", "0":
			return false, nil
		}
		return nil, fmt.Errorf("%q is not true or false", s)
	case "list":
		out := []string{}
		for _, e := range strings.Split(s, ",") {
			if e = strings.TrimSpace(e); e != "" {
				out = append(out, e)
			}
		}
		return out, nil
	}
	return s, nil
}

// check holds a value against min, max and choices.
func (p *Param) check(v any) error {
	n, isNumber := 0.0, true
	switch v := v.(type) {
	case int64:
		n = float64(v)
	case float64:
		n = v
	case []string:
		for _, e := range v {
			if err := p.check(e); err != nil {
				return err
			}
		}
		return nil
	case string:
		if p.Choices != nil && !slices.Contains(p.Choices, v) {
			return fmt.Errorf("%q is none of %s", v, strings.Join(p.Choices, ", "))
		}
		isNumber = false
	default:
		isNumber = false
	}
	switch {
	case isNumber && p.Min != nil && n < *p.Min:
		return fmt.Errorf("%v is less than %v", v, *p.Min)
	case isNumber && p.Max != nil && n > *p.Max:
		return fmt.Errorf("%v is more than %v", v, *p.Max)
	}
	return nil
}
