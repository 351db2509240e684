package lua

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	glua "github.com/yuin/gopher-lua"

	"vsl/engine"
	"vsl/lua/bind"
)

// FuzzLoad reads any text: it may be refused, and nothing else.
func FuzzLoad(f *testing.F) {
	data, err := os.ReadFile("testdata/mistakes.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, chunk := range strings.Split(string(data), "---\n") {
		f.Add(chunk)
	}
	readTime = 500 * time.Millisecond
	f.Fuzz(func(t *testing.T, text string) {
		var out strings.Builder
		r, err := Load(context.Background(), "fuzz.lua", []byte(text), Options{Dir: t.TempDir(), Stdout: &out, Stderr: &out})
		if err == nil {
			r.Close()
		}
	})
}

// FuzzDecode makes tables of every shape out of bytes and decodes them.
func FuzzDecode(f *testing.F) {
	f.Add([]byte("limit\x00memory\x01"))
	f.Fuzz(func(t *testing.T, data []byte) {
		l := glua.NewState(glua.Options{SkipOpenLibs: true})
		defer l.Close()
		text := string(data)
		table := tableOf(l, &data, 0)
		d := &bind.Decoder{Pos: engine.Pos{File: "x", Line: 1}}
		d.Guest("g", table)
		d.Template("t", table)
		d.Debian(table)
		d.Tar(table)
		for kind := range bind.ProbeSchemas {
			d.Probe(kind, table)
		}
		for kind := range bind.ParamTypes {
			d.Param(kind, "p", table, nil, false)
			d.Param(kind, "p", table, &bind.Given{Text: text, From: "-p"}, false)
		}
		d.Pool("p", table)
		for _, e := range d.Errs {
			_ = fmt.Sprint(e)
		}
	})
}

var fuzzKeys = append(append(bind.GuestSchema.KeyNames(), bind.LimitSchema.KeyNames()...), "ip", "dev", "path", "port", "soft", "signal", "sequence", "device", "policy", "default", "pattern", "choices", "size", "each", "from", "owner", "x")

func tableOf(l *glua.LState, data *[]byte, depth int) *glua.LTable {
	next := func() int {
		if len(*data) == 0 {
			return 0
		}
		b := (*data)[0]
		*data = (*data)[1:]
		return int(b)
	}
	value := func() glua.LValue {
		switch n := next(); {
		case n%8 == 0 && depth < 4:
			return tableOf(l, data, depth+1)
		case n%8 == 1:
			return glua.LNumber(float64(next()) * 1.5)
		case n%8 == 2:
			return glua.LBool(n > 100)
		case n%8 == 3:
			return l.NewFunction(func(*glua.LState) int { return 0 })
		case n%8 == 4:
			return &glua.LUserData{Value: bind.Bad{}}
		case n%8 == 5:
			return &glua.LUserData{Value: &engine.Probe{}}
		}
		k := min(next(), len(*data))
		s := string((*data)[:k])
		*data = (*data)[k:]
		return glua.LString(s)
	}
	t := l.NewTable()
	for n := next() % 8; n > 0 && len(*data) > 0; n-- {
		if k := next(); k%4 == 0 {
			t.Append(value())
		} else {
			t.RawSetString(fuzzKeys[k%len(fuzzKeys)], value())
		}
	}
	return t
}
