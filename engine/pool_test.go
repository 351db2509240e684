package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestPoolMember(t *testing.T) {
	p := &Pool{Name: "web"}
	for name, want := range map[string]int{"web1": 1, "web12": 12, "web": 0, "web0": 0, "web01": 0, "web-1": 0, "web+1": 0, "webs1": 0, "db1": 0, "web1a": 0} {
		if got := p.member(name); got != want {
			t.Errorf("%s: %d, want %d", name, got, want)
		}
	}
	if got := p.member(p.Member(7)); got != 7 {
		t.Errorf("member of its own name: %d", got)
	}
}

// poolHost writes down guests as if they had been brought up: this process is
// pid 1 of those that run.
func poolHost(t *testing.T, running, stopped []*Spec) *Engine {
	t.Helper()
	e, err := Open(Options{Root: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.ensure(); err != nil {
		t.Fatal(err)
	}
	for i, s := range append(slices.Clone(running), stopped...) {
		if err := os.Mkdir(e.paths.Guest(s.Name), 0o700); err != nil {
			t.Fatal(err)
		}
		err := e.writeRecord(&record{Version: recordVersion, Name: s.Name, XID: 5000 + i, Spec: s, Provisioned: true, Recipe: Origin{Path: "/r.lua"}})
		if err == nil && i < len(running) {
			err = e.writeRun(s.Name, runState{PID: os.Getpid(), StartTime: startTime(os.Getpid())})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return e
}

func poolSpec(name, env string, after ...string) *Spec {
	s := &Spec{Name: name, Template: &Template{Name: "host", From: Source{Kind: "host"}}, Command: []string{"/bin/x"},
		Env: map[string]string{"V": env}}
	if strings.HasPrefix(name, "web") {
		s.Pool = "web"
	}
	for _, a := range after {
		s.After = map[string]string{a: "ready"}
	}
	return s
}

func declared(specs ...*Spec) []Declared {
	var out []Declared
	for _, s := range specs {
		out = append(out, Declared{Spec: s})
	}
	return out
}

func TestRollOrder(t *testing.T) {
	pools := []*Pool{{Name: "web", Size: 5, MaxUnavailable: 2}}
	tests := []struct {
		name             string
		running, stopped []*Spec
		now              []*Spec
		order, first     []string
	}{
		{"nothing changed", []*Spec{poolSpec("web1", "a"), poolSpec("web2", "a")}, nil,
			[]*Spec{poolSpec("web1", "a"), poolSpec("web2", "a")}, nil, nil},
		{"by number", []*Spec{poolSpec("web1", "a"), poolSpec("web2", "a"), poolSpec("web3", "b")}, nil,
			[]*Spec{poolSpec("web1", "b"), poolSpec("web2", "b"), poolSpec("web3", "b")}, []string{"web1", "web2"}, nil},
		{"new and stopped ones come first", []*Spec{poolSpec("web1", "a")}, []*Spec{poolSpec("web2", "a")},
			[]*Spec{poolSpec("web1", "b"), poolSpec("web2", "b"), poolSpec("web3", "b")}, []string{"web1"}, []string{"web2", "web3"}},
		{"what comes after another keeps so", []*Spec{poolSpec("web1", "a"), poolSpec("web2", "a")}, nil,
			[]*Spec{poolSpec("web1", "b", "x"), poolSpec("x", "b", "web2"), poolSpec("web2", "b")}, []string{"web2", "web1"}, nil},
		{"a new one that waits for a replaced one is not waited for", []*Spec{poolSpec("web1", "a")}, nil,
			[]*Spec{poolSpec("web1", "b"), poolSpec("web2", "b", "x"), poolSpec("x", "b", "web1")}, []string{"web1"}, nil},
		{"guests of no pool are not replaced", []*Spec{poolSpec("db", "a")}, nil, []*Spec{poolSpec("db", "b")}, nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := poolHost(t, tt.running, tt.stopped)
			rolls, err := e.rolls(declared(tt.now...), UpOptions{Pools: pools})
			if err != nil {
				t.Fatal(err)
			}
			r := rolls["web"]
			if r == nil {
				r = &roll{}
			}
			if !reflect.DeepEqual(r.order, tt.order) || !reflect.DeepEqual(r.first, tt.first) {
				t.Errorf("order %v after %v, want %v after %v", r.order, r.first, tt.order, tt.first)
			}
		})
	}
}

// Of many guests that wait for their turn never more than max have it, they
// have it in their order, and all of them come to it.
func TestTurns(t *testing.T) {
	for _, most := range []int{1, 3, 100} {
		t.Run(fmt.Sprint(most), func(t *testing.T) {
			specs := []*Spec{}
			u := &upRun{marks: map[string]*marks{}, rolls: map[string]*roll{"web": {max: most}}}
			for i := 1; i <= 40; i++ {
				s := poolSpec(fmt.Sprint("web", i), "a")
				specs = append(specs, s)
				u.marks[s.Name] = newMarks()
				u.rolls["web"].order = append(u.rolls["web"].order, s.Name)
			}
			var mu sync.Mutex
			at, worst := 0, 0
			var began []string
			var wg sync.WaitGroup
			for _, s := range slices.Backward(specs) {
				wg.Go(func() {
					if failed, err := u.turn(t.Context(), s); failed != "" || err != nil {
						t.Errorf("%s: %q, %v", s.Name, failed, err)
					}
					mu.Lock()
					at++
					worst = max(worst, at)
					began = append(began, s.Name)
					mu.Unlock()
					mu.Lock()
					at--
					mu.Unlock()
					u.marks[s.Name].markReady()
				})
			}
			wg.Wait()
			if worst > most || len(began) != len(specs) {
				t.Errorf("%d at once, %d in all", worst, len(began))
			}
			if most == 1 && !slices.Equal(began, u.rolls["web"].order) {
				t.Errorf("order %v", began)
			}
		})
	}
}

func TestTurnsEndWithAFailure(t *testing.T) {
	u := &upRun{marks: map[string]*marks{"web1": newMarks(), "web2": newMarks()}, rolls: map[string]*roll{"web": {max: 1, order: []string{"web1", "web2"}}}}
	if failed, err := u.turn(t.Context(), poolSpec("web1", "a")); failed != "" || err != nil {
		t.Errorf("the first: %q, %v", failed, err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("ctrl-c"))
	if _, err := u.turn(ctx, poolSpec("web2", "a")); err == nil || err.Error() != "ctrl-c" {
		t.Errorf("cancelled: %v", err)
	}
	u.ended(poolSpec("web1", "a"), errors.New("broken"))
	u.marks["web1"].markReady()
	if failed, err := u.turn(t.Context(), poolSpec("web2", "a")); failed != "web1" || err != nil {
		t.Errorf("after a failure: %q, %v", failed, err)
	}
	if failed, err := u.turn(t.Context(), poolSpec("db", "a")); failed != "" || err != nil {
		t.Errorf("a guest of no pool: %q, %v", failed, err)
	}
}

func TestCompareIn(t *testing.T) {
	pools := []*Pool{{Name: "web", Size: 5, MaxUnavailable: 1}}
	other := poolSpec("web1", "a")
	other.Template = &Template{Name: "other", From: Source{Kind: "host"}}
	db := poolSpec("db", "b")
	for _, tt := range []struct {
		name    string
		running bool
		now     *Spec
		pools   []*Pool
		change  Change
		reason  string
	}{
		{"env of one that runs", true, poolSpec("web1", "b"), pools, ChangeReplace, "env changed"},
		{"template of one that runs", true, other, pools, ChangeReplace, "template changed, what it wrote is deleted"},
		{"env of one that is stopped", false, poolSpec("web1", "b"), pools, ChangeStart, "stopped"},
		{"template of one that is stopped", false, other, pools, ChangeReplace, "stopped; its template or clone changed, what it wrote is deleted"},
		{"nothing", true, poolSpec("web1", "a"), pools, ChangeNone, ""},
		{"not asked about pools", true, poolSpec("web1", "b"), nil, ChangeRestart, "env changed: takes effect at vsl restart"},
		{"new", true, poolSpec("web2", "b"), pools, ChangeCreate, "new"},
		{"of no pool", true, db, pools, ChangeRestart, "env changed: takes effect at vsl restart"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			was := []*Spec{poolSpec("web1", "a"), poolSpec("db", "a")}
			e := poolHost(t, was, nil)
			if !tt.running {
				e = poolHost(t, nil, was)
			}
			g, err := e.compared(tt.now)
			if err != nil {
				t.Fatal(err)
			}
			change, reasons := g.compareIn(tt.pools)
			if change != tt.change || strings.Join(reasons, ", ") != tt.reason {
				t.Errorf("%s %q, want %s %q", change, reasons, tt.change, tt.reason)
			}
		})
	}
}

// A restart replaces those it is asked for, and no other however it is declared.
func TestCompareForRestart(t *testing.T) {
	e := poolHost(t, []*Spec{poolSpec("web1", "a"), poolSpec("web2", "a")}, []*Spec{poolSpec("web3", "a")})
	o := UpOptions{Pools: []*Pool{{Name: "web", Size: 3}}, Restart: []string{"web1", "web3"}}
	for name, want := range map[string]Change{"web1": ChangeReplace, "web2": ChangeRestart, "web3": ChangeStart} {
		g, err := e.compared(poolSpec(name, "b"))
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := o.compare(g); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	rolls, err := e.rolls(declared(poolSpec("web1", "b"), poolSpec("web2", "b"), poolSpec("web3", "b")), o)
	if err != nil || !slices.Equal(rolls["web"].order, []string{"web1"}) || !slices.Equal(rolls["web"].first, []string{"web3"}) {
		t.Errorf("order %v after %v, %v", rolls["web"].order, rolls["web"].first, err)
	}
}

func TestOriginAgain(t *testing.T) {
	booted := map[string]string{"n": "3"}
	for _, tt := range []struct {
		latest map[string]string
		want   string
	}{{nil, "3"}, {map[string]string{"n": "5"}, "5"}, {map[string]string{}, ""}} {
		rec := &record{Recipe: Origin{Params: booted, Latest: tt.latest}}
		data, err := json.Marshal(rec)
		if err != nil {
			t.Fatal(err)
		}
		var back record
		if err := json.Unmarshal(data, &back); err != nil {
			t.Fatal(err)
		}
		if got := back.Recipe.Again(); got.Params["n"] != tt.want || got.Latest != nil {
			t.Errorf("%v: %+v", tt.latest, got)
		}
		if back.Recipe.Params["n"] != "3" {
			t.Errorf("%v: the parameters of the boot are %v", tt.latest, back.Recipe.Params)
		}
	}
}
