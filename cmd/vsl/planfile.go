package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"vsl/engine"
)

// savedPlan is a plan in a file: what somebody has looked at, and vsl up is to do,
// that and nothing else.
type savedPlan struct {
	Version   int               `json:"version"` // savedVersion
	Recipe    string            `json:"recipe"`  // its absolute path, or an embedded recipe's name
	Digest    string            `json:"digest"`  // of the recipe and its modules
	Params    map[string]string `json:"params,omitempty"`
	AllowHost bool              `json:"allow_host,omitempty"`
	Owners    []int             `json:"owners,omitempty"` // whose the recipe was: engine.Origin.Owners
	Names     []string          `json:"names,omitempty"`  // the guests that were asked for
	Root      string            `json:"root"`             // the state it was compared with
	Plan      *engine.Plan      `json:"plan"`
}

const savedVersion = 1

// planMax bounds the file of a plan.
const planMax = 64 << 20

// savePlan writes a plan for vsl up --plan.
func (a *app) savePlan(path string, l *loaded, names []string, p *engine.Plan) error {
	l.keeper() // which finds the digest
	e, err := a.engine(false)
	if err != nil {
		return err
	}
	data, err := json.MarshalIndent(savedPlan{savedVersion, l.origin.Path, l.origin.Digest, l.origin.Params, l.origin.AllowHost, l.origin.Owners, names, e.Root(), p}, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, append(data, '\n'), 0o600); err != nil {
		return &engine.OpError{Op: "write plan", Target: path, Err: cause(err)}
	}
	return nil
}

// upPlan does what a saved plan says, where it still is what up would do.
func (a *app) upPlan(ctx context.Context, path string, o upOptions) error {
	saved, err := readPlan(path)
	if err != nil {
		return err
	}
	if saved.AllowHost && !o.allowHost {
		return &usageError{msg: fmt.Sprintf("carry out plan %s: it was made with --allow-host, by which its recipe reaches files of the host outside its folder; nothing was done", path),
			hint: "say it again: vsl up --plan " + path + " --allow-host"}
	}
	if o.allowHost && !saved.AllowHost {
		return &usageError{msg: fmt.Sprintf("carry out plan %s: it was made without --allow-host; nothing was done", path),
			hint: "vsl plan --allow-host --out makes one with it"}
	}
	e, err := a.engine(o.keep)
	if err != nil {
		return err
	}
	if e.Root() != saved.Root {
		return &usageError{msg: fmt.Sprintf("%s is a plan for the state in %s, not in %s", path, saved.Root, e.Root()), hint: "vsl --root " + saved.Root}
	}
	file, err := findRecipe(saved.Recipe)
	if err != nil {
		return err
	}
	l, err := a.load(ctx, e, file, given{params: saved.Params, allowHost: saved.AllowHost})
	if err != nil {
		return err
	}
	if err := l.validate(); err != nil {
		return err
	}
	l.keeper()
	l.origin.Owners = saved.Owners // whoever else has it by now was not there when it was named
	if l.origin.Digest != saved.Digest {
		return stale(path, "the recipe was changed")
	}
	decls, err := l.guests(saved.Names)
	if err != nil {
		return err
	}
	now, err := e.Plan(decls, engine.PlanOptions{Recipe: l.origin.Path, Pools: l.pools(saved.Names)})
	if err != nil {
		return err
	}
	if what := movedOn(saved.Plan, now); what != "" {
		return stale(path, what)
	}
	return a.bringUp(ctx, e, l, decls, engine.UpOptions{Pools: l.pools(saved.Names), Parallel: o.parallel}, o.json)
}

func stale(path, what string) error {
	return &usageError{msg: fmt.Sprintf("%s does not hold any more: %s; nothing was done", path, what), hint: "vsl plan --out makes it anew"}
}

func readPlan(path string) (*savedPlan, error) {
	data, err := engine.ReadPlain(path, planMax, func(info fs.FileInfo) error { return engine.Trust(path, info, invoker()...) })
	var no *engine.TrustError
	if errors.As(err, &no) {
		return nil, &usageError{msg: fmt.Sprintf("read plan %s: %s; nothing was done", path, no.Why), hint: no.Hint + ", or vsl plan --out makes one of your own"}
	}
	if err != nil {
		return nil, &usageError{msg: fmt.Sprintf("read plan %s: %v", path, cause(err))}
	}
	saved := &savedPlan{}
	if err := json.Unmarshal(data, saved); err != nil || saved.Version != savedVersion || saved.Plan == nil {
		return nil, &usageError{msg: path + " is not a plan of this version of vsl", hint: "vsl plan RECIPE --out FILE makes one"}
	}
	return saved, nil
}

// movedOn says what is different between two plans, "" where nothing is.
func movedOn(was, now *engine.Plan) string {
	for _, t := range now.Templates {
		if i := slices.IndexFunc(was.Templates, func(o engine.TemplatePlan) bool { return o.Name == t.Name }); i < 0 || was.Templates[i] != t {
			return fmt.Sprintf("template %s is not as it was", t.Name)
		}
	}
	for _, g := range now.Guests {
		i := slices.IndexFunc(was.Guests, func(o engine.GuestPlan) bool { return o.Name == g.Name })
		if i < 0 {
			return fmt.Sprintf("guest %s is not in it", g.Name)
		}
		if o := was.Guests[i]; o.Change != g.Change {
			return fmt.Sprintf("guest %s was %q and is %q", g.Name, o.Change, g.Change)
		}
	}
	a, err := json.Marshal(was)
	b, err2 := json.Marshal(now)
	if errors.Join(err, err2) != nil || !bytes.Equal(a, b) {
		return "the steps are not what they were"
	}
	return ""
}
