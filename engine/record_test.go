package engine

import (
	"testing"

	"vsl/engine/store"
)

// What another boot of the host wrote about a context is void: its pid may be
// anybody's by now, and no program confines the new context to its addresses.
func TestRunStateOfAnotherBoot(t *testing.T) {
	e := testEngine(t)
	if err := e.ensure(); err != nil {
		t.Fatal(err)
	}
	want := runState{PID: 7, StartTime: 9, Net: &Net{Mode: "bind", Addrs: []Address{{IP: "127.77.0.5"}}}}
	if err := e.writeRun("web", want); err != nil {
		t.Fatal(err)
	}
	got, err := e.readRun("web")
	if err != nil || got.PID != 7 || got.Net == nil {
		t.Errorf("of this boot: %+v, %v", got, err)
	}
	got.Boot = "00000000-0000-0000-0000-000000000000"
	if err := store.WriteJSON(e.paths.RunFile("web"), got); err != nil {
		t.Fatal(err)
	}
	if got, err = e.readRun("web"); err != nil || got.PID != 0 || got.Net != nil {
		t.Errorf("of another boot: %+v, %v", got, err)
	}
}
