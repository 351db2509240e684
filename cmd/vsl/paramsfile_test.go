package main

import (
	"strings"
	"testing"
)

func TestParseParams(t *testing.T) {
	tests := []struct{ text, want, err string }{
		{`{}`, "", ""},
		{"{\n \"n\": 3,\n \"word\": \"a b\", \"on\": true, \"x\": 0.5 }", "n=3@2 on=true@3 word=a b@3 x=0.5@3", ""},
		{`{"l": ["a,b", "c", 1]}`, `l=["a,b","c","1"]@1`, ""},
		{"\ufeff{\"a\": 1}", "a=1@1", ""},
		{`{"l": []}`, `l=[]@1`, ""},
		{`{"big": 123456789012345678901}`, "big=123456789012345678901@1", ""},
		{"", "", "p.json:1: not JSON: it ends too early"},
		{"[]", "", "p.json:1: must be one JSON object"},
		{"{\n\"a\": 1,\n\"a\": 2}", "", `p.json:3: "a" is given twice, first at p.json:2`},
		{"{\n\"a\": {}}", "", `p.json:2: "a" must be a text`},
		{`{"a": null}`, "", `p.json:1: "a" must be a text`},
		{`{"a": [[]]}`, "", `p.json:1: "a" must be a list of texts`},
		{"{\n\"a\" 1}", "", "p.json:2: not JSON"},
		{"{\"a\": 1", "", "p.json:1: not JSON: it ends too early"},
		{"{}\n\n{}", "", "p.json:3: something follows the object"},
	}
	for _, tt := range tests {
		m, err := parseParams("p.json", []byte(tt.text))
		if (err == nil) != (tt.err == "") || err != nil && !strings.HasPrefix(err.Error(), tt.err) {
			t.Errorf("%q: error %v, want %q", tt.text, err, tt.err)
			continue
		}
		var got []string
		for _, name := range sortedNames(m) {
			got = append(got, name+"="+m[name].Text+"@"+strings.TrimPrefix(m[name].From, "p.json:"))
		}
		if s := strings.Join(got, " "); s != tt.want {
			t.Errorf("%q: %s, want %s", tt.text, s, tt.want)
		}
	}
}

// FuzzParseParams reads any text: it may be refused with a line, nothing else.
func FuzzParseParams(f *testing.F) {
	f.Add([]byte(`{"n": 3, "l": ["a"], "b": true}`))
	f.Add([]byte("{\n\"a\": {}}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parseParams("p.json", data)
		if err != nil && !strings.HasPrefix(err.Error(), "p.json:") {
			t.Errorf("no line: %v", err)
		}
		for name, g := range m {
			if g.Pos.Line < 1 {
				t.Errorf("%q has no line", name)
			}
		}
	})
}
