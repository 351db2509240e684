package meta

import (
	"strings"

	"vsl/lua/api"
	"vsl/lua/bind"
)

// Description is the language for programs.
type Description struct {
	Tables    []Table    `json:"tables"`
	Functions []Function `json:"functions"`
}

// Table is one that a recipe writes.
type Table struct {
	Name  string `json:"name"`
	Doc   string `json:"doc"`
	Items string `json:"items,omitempty"` // what its list part holds
	Keys  []Key  `json:"keys"`
}

// Key is a key of a table.
type Key struct {
	Name     string   `json:"name"`
	Type     string   `json:"type"` // in words
	Lua      string   `json:"lua"`  // as LuaLS writes it
	Default  string   `json:"default,omitempty"`
	Doc      string   `json:"doc"`
	Required bool     `json:"required,omitempty"`
	Live     bool     `json:"live,omitempty"` // may change while the guest runs
	Choices  []string `json:"choices,omitempty"`
	Table    string   `json:"table,omitempty"` // of its own keys
}

// Function is a function or method.
type Function struct {
	Name      string `json:"name"`
	Signature string `json:"signature"`
	Doc       string `json:"doc"`
}

// Describe gives all of it.
func Describe() Description {
	d := Description{Tables: []Table{}, Functions: []Function{}}
	for _, s := range bind.Schemas() {
		t := Table{Name: s.Name, Doc: s.Doc, Keys: []Key{}}
		if s.Items != nil {
			t.Items = s.Items.Want
		}
		for _, k := range s.Keys {
			key := Key{Name: k.Name, Type: k.Type.Want, Lua: k.Type.Lua(), Default: k.Default, Doc: k.Doc, Required: k.Required, Live: k.Live, Choices: k.Type.Names}
			if k.Type.Sub != nil {
				key.Table = k.Type.Sub.Name
			}
			t.Keys = append(t.Keys, key)
		}
		d.Tables = append(d.Tables, t)
	}
	for _, f := range api.Functions() {
		d.Functions = append(d.Functions, Function{f.Name, strings.TrimSpace(f.Sig), f.Doc})
	}
	return d
}
