package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"vsl/engine"
	"vsl/lua"
)

// paramsMax bounds a file of parameters.
const paramsMax = 1 << 20

// readParams reads a file of parameters.
func readParams(path string) (map[string]lua.Given, error) {
	data, err := engine.ReadPlain(path, paramsMax)
	if err != nil {
		return nil, &usageError{msg: "--params " + path + ": " + pathCause(err).Error()}
	}
	m, err := parseParams(path, data)
	if err != nil {
		return nil, &recipeError{err}
	}
	return m, nil
}

func pathCause(err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// paramsParser reads one JSON object of names and values. The values are as -p
// would be given them; numbers, true, false and lists of texts may be plain.
type paramsParser struct {
	path string
	data []byte
	dec  *json.Decoder
}

func parseParams(path string, data []byte) (map[string]lua.Given, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // the mark of some editors, which readers of JSON may ignore (RFC 8259, 8.1)
	p := &paramsParser{path: path, data: data, dec: json.NewDecoder(bytes.NewReader(data))}
	p.dec.UseNumber()
	if t, err := p.token(); err != nil || t != json.Delim('{') {
		return nil, p.fail(err, "must be one JSON object", `write { "name": "value" }`)
	}
	dir := filepath.Dir(path)
	out := map[string]lua.Given{}
	for p.dec.More() {
		t, err := p.token()
		if err != nil {
			return nil, p.fail(err, "", "")
		}
		name, ok := t.(string)
		if !ok {
			return nil, p.fail(nil, "a name must be a string", `write { "name": "value" }`)
		}
		pos := p.pos()
		if first, dup := out[name]; dup {
			return nil, p.fail(nil, fmt.Sprintf("%q is given twice, first at %s", name, first.Pos), "")
		}
		text, err := p.value(name)
		if err != nil {
			return nil, err
		}
		out[name] = lua.Given{Text: text, From: pos.String(), Pos: pos, Dir: dir}
	}
	if _, err := p.token(); err != nil { // its end
		return nil, p.fail(err, "", "")
	}
	if _, err := p.token(); err != io.EOF {
		return nil, p.fail(nil, "something follows the object", "")
	}
	return out, nil
}

func (p *paramsParser) token() (json.Token, error) { return p.dec.Token() }

// value is one value as a text.
func (p *paramsParser) value(name string) (string, error) {
	t, err := p.token()
	if err != nil {
		return "", p.fail(err, "", "")
	}
	switch t := t.(type) {
	case string:
		return t, nil
	case json.Number:
		return t.String(), nil
	case bool:
		return fmt.Sprint(t), nil
	case json.Delim:
		if t == '[' {
			return p.list(name)
		}
	}
	return "", p.fail(nil, fmt.Sprintf("%q must be a text, a number, true, false or a list of texts", name), "")
}

// list is a list of texts, as the text of a JSON array.
func (p *paramsParser) list(name string) (string, error) {
	items := []string{}
	for p.dec.More() {
		t, err := p.token()
		if err != nil {
			return "", p.fail(err, "", "")
		}
		switch t := t.(type) {
		case string:
			items = append(items, t)
		case json.Number:
			items = append(items, t.String())
		default:
			return "", p.fail(nil, fmt.Sprintf("%q must be a list of texts", name), "")
		}
	}
	if _, err := p.token(); err != nil {
		return "", p.fail(err, "", "")
	}
	data, err := json.Marshal(items)
	return string(data), err
}

// pos is the line that the decoder is at.
func (p *paramsParser) pos() engine.Pos {
	return engine.Pos{File: p.path, Line: 1 + bytes.Count(p.data[:p.dec.InputOffset()], []byte("\n"))}
}

// fail is a mistake at the place that the decoder is at.
func (p *paramsParser) fail(err error, msg, hint string) error {
	pos := p.pos()
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		pos.Line = 1 + bytes.Count(p.data[:min(int(syntax.Offset), len(p.data))], []byte("\n"))
		msg = "not JSON: " + syntax.Error()
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		msg = "not JSON: it ends too early"
	case err != nil:
		msg = err.Error()
	}
	return &lua.Mistake{Pos: pos, Msg: msg, Hint: hint}
}
