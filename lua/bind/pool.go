package bind

import (
	"fmt"

	lua "github.com/yuin/gopher-lua"

	"vsl/engine"
)

// MaxPool bounds a pool's size: more guests than xids there cannot be.
const MaxPool = 20000

// PoolSchema is pool "name" {}.
var PoolSchema = &Schema{Name: "pool", Doc: "A number of guests made by one rule: pool \"web\" of size 2 is web1 and web2.", Keys: []Key{
	{Name: "size", Type: Int, Required: true, Doc: "how many guests; vsl up brings up or takes down the difference", Check: inRange(0, MaxPool)},
	{Name: "each", Type: Func, Required: true, Doc: "gives the table of one guest; it is called with its number, from 1"},
	{Name: "max_unavailable", Type: Int, Default: "1", Doc: "how many of those that run vsl up may replace at once", Check: inRange(1, MaxPool)},
}}

// Pool makes a pool of its table and gives the function that makes its guests.
func (d *Decoder) Pool(name string, t *lua.LTable) (*engine.Pool, *lua.LFunction) {
	at := Place{What: fmt.Sprintf("pool %q", name), Pos: d.Pos}
	if err := CheckName(name); err != nil {
		d.Failf(at, "", "%v", err)
	}
	v := d.Table(PoolSchema, at, t)
	p := &engine.Pool{Name: name, Size: int(Get[int64](v, "size")), MaxUnavailable: 1, Pos: d.Pos}
	if m := Opt[int64](v, "max_unavailable"); m != nil {
		p.MaxUnavailable = int(*m)
	}
	return p, Get[*lua.LFunction](v, "each")
}
