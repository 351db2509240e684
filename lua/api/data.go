package api

import (
	"bytes"
	"context"
	"fmt"

	lua "github.com/yuin/gopher-lua"

	"vsl/lua/bind"
	"vsl/lua/runtime"
)

// keptData is g.data: a table that is kept between commands as JSON beside the
// guest. It is read when a flow first asks for it, and written at the end of each
// flow that changed it.
type keptData struct {
	table *lua.LTable
	saved []byte
}

// data is the field g.data.
func (a *API) data(l *lua.LState, h *Handle) lua.LValue {
	a.acting(l, "g.data")
	if h.data != nil {
		return h.data.table
	}
	g := a.guestOf(l, h)
	var text []byte
	a.block(l, func(ctx context.Context) (err error) {
		text, err = g.Data(ctx)
		return err
	})
	if h.data != nil { // another flow came first while this one waited
		return h.data.table
	}
	data := &keptData{table: l.NewTable(), saved: bytes.TrimSpace(text)}
	if len(text) > 0 {
		v, err := runtime.DecodeJSON(l, string(text), runtime.JSONNull())
		t, ok := v.(*lua.LTable)
		if err != nil || !ok || !bytes.HasPrefix(data.saved, []byte("{")) {
			a.S.Raisef(l, "", "data of guest %s: what was kept is no object of JSON: %v", h.name, err)
		}
		data.table = t
	}
	// Only now, so that what could not be read is not written over.
	h.data = data
	a.keeps.Store(true)
	return data.table
}

// SaveData writes what changed in the data of any guest.
func (a *API) SaveData(ctx context.Context) error {
	if !a.keeps.Load() {
		return nil
	}
	type change struct {
		h    *Handle
		text []byte
	}
	var changed []change
	err := a.S.Do(ctx, func(l *lua.LState) error {
		for _, ud := range a.handles {
			h := ud.Value.(*Handle)
			if h.data == nil || h.guest == nil {
				continue
			}
			text, err := runtime.EncodeJSON(l.Context(), h.data.table, 0)
			if err != nil {
				return &bind.Error{Msg: fmt.Sprintf("data of guest %s cannot be kept: %v", h.name, err),
					Hint: "g.data holds strings, numbers, booleans, and tables of them"}
			}
			if len(h.data.saved) == 0 && string(text) == "{}" || bytes.Equal(text, h.data.saved) {
				continue
			}
			h.data.saved = text
			changed = append(changed, change{h, text})
		}
		return nil
	})
	for _, c := range changed {
		if err == nil {
			err = c.h.guest.SetData(ctx, c.text)
		}
	}
	return err
}
