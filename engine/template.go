package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"vsl/engine/rootfs"
)

// source converts a template's base to what rootfs builds.
func (t *Template) source() rootfs.Source { return rootfs.Source(t.From) }

// HostSuite is the release of Debian that templates are made of which name none:
// the host's own, or "stable".
func HostSuite() string { return rootfs.HostSuite() }

// Template finds a built template, or ErrUnknownTmpl.
func (e *Engine) Template(t *Template) (*rootfs.Template, error) {
	key, err := e.templates().Key(t.source(), t.Build)
	if err != nil {
		return nil, &OpError{Op: "find template", Target: t.Name, Err: err}
	}
	tm, err := e.templates().Lookup(t.Name, key)
	if errors.Is(err, rootfs.ErrNotBuilt) {
		return nil, &OpError{Op: "find template", Target: t.Name, Err: ErrUnknownTmpl, Hint: "vsl template build makes it"}
	}
	return tm, err
}

// Templates lists what is built.
func (e *Engine) Templates() ([]*rootfs.Template, error) { return e.templates().List() }

// BuildTemplate makes a template unless it is there: its base, then its build
// flow in a context of its own, then frozen. A build that fails or is killed
// leaves nothing that a later one or gc does not clear.
func (e *Engine) BuildTemplate(ctx context.Context, t *Template, flow Flow) (*rootfs.Template, error) {
	if tm, err := e.Template(t); err == nil || !errors.Is(err, ErrUnknownTmpl) {
		return tm, err
	}
	if err := e.ensure(); err != nil {
		return nil, err
	}
	var customize func(*rootfs.Template) error
	if flow != nil {
		customize = func(tm *rootfs.Template) error { return e.runBuild(ctx, t, tm, flow) }
	}
	progress := func(stage string, done, total int64) {
		e.progress(Progress{Subject: "template " + t.Name, Stage: stage, Done: done, Total: total})
	}
	tm, err := e.templates().Build(ctx, t.Name, t.source(), t.Build, customize, progress)
	if err != nil {
		return nil, t.failed(err)
	}
	progress("done", 0, 0)
	return tm, nil
}

// failed says of which template an error is, and where that is declared.
func (t *Template) failed(err error) error {
	err = fmt.Errorf("template %s: %w", t.Name, err)
	if p := t.Pos.String(); p != "" {
		err = fmt.Errorf("%s: %w", p, err)
	}
	return err
}

// EnsureTemplate is BuildTemplate for who only wants it to be there.
func (e *Engine) EnsureTemplate(ctx context.Context, t *Template, flow Flow) error {
	_, err := e.BuildTemplate(ctx, t, flow)
	return err
}

// runBuild runs a build flow in a guest whose root is the new tree itself. The
// guest is always undone: only what the flow wrote into the tree stays.
func (e *Engine) runBuild(ctx context.Context, t *Template, tm *rootfs.Template, flow Flow) error {
	errBuilt := errors.New("built")
	spec := &Spec{Name: "build-" + t.Name, Template: t, Net: t.Net, Pos: t.Pos}
	h, err := e.handle(spec)
	if err != nil {
		return err
	}
	h.tree = tm
	err = h.within(ctx, true, func() error {
		if err := h.Context(ctx); err != nil {
			return err
		}
		if err := h.BindIP(ctx, spec.Net); err != nil {
			return err
		}
		if err := h.Boot(ctx, BootArgs{Idle: true}); err != nil {
			return err
		}
		if err := flow(ctx, h); err != nil {
			return err
		}
		return errBuilt
	})
	if errors.Is(err, errBuilt) && len(unjoin(err)) == 1 {
		return nil
	}
	return err
}

// unjoin splits an errors.Join.
func unjoin(err error) []error {
	if j, ok := err.(interface{ Unwrap() []error }); ok {
		return j.Unwrap()
	}
	return []error{err}
}

// RemoveTemplate removes every build of a template, unless a guest is cloned
// from one.
func (e *Engine) RemoveTemplate(name string) error {
	all, err := e.templates().List()
	if err != nil {
		return err
	}
	var known []string
	for _, tm := range all {
		known = append(known, tm.Name)
	}
	if !slices.Contains(known, name) {
		hint := "vsl template ls shows what there is"
		if near := Nearest(name, known); near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		return &OpError{Op: "remove template", Target: name, Err: ErrUnknownTmpl, Hint: hint}
	}
	for _, n := range e.names() {
		rec, err := e.readRecord(n)
		if err != nil {
			return &OpError{Op: "remove template", Target: name, Err: fmt.Errorf("guest %q may be cloned from it: %w", n, err)}
		}
		if rec != nil && rec.TemplateKey != "" && rec.Spec.Template.Name == name {
			return &OpError{Op: "remove template", Target: name, Err: fmt.Errorf("guest %q is cloned from it", n), Hint: "vsl rm removes guests"}
		}
	}
	return e.templates().Remove(name)
}

func (g *guest) clone(ctx context.Context, a CloneArgs) error {
	if g.rec.Clone != "" || g.tree != nil {
		return nil
	}
	if a.Template == nil {
		return &OpError{Op: "clone root of guest", Target: g.spec.Name, Err: ErrUnknownTmpl, Hint: "give cow_clone a template"}
	}
	tm, err := g.e.Template(a.Template)
	if err != nil {
		return err
	}
	kind, err := g.e.cloneKind(a.Kind)
	if err != nil {
		return err
	}
	if err := g.undoable(undo{Op: undoClone}); err != nil {
		return err
	}
	dir := g.e.paths.Guest(g.spec.Name)
	if err := rootfs.Clone(ctx, tm, dir, kind, g.hostID()); err != nil {
		return err
	}
	if err := rootfs.SeedFiles(dir, tm, kind, g.hostID(), rootfs.Seed{
		Hostname: hostname(g.spec), Addrs: ips(g.spec.Net), MachineID: g.rec.MachineID}); err != nil {
		return err
	}
	g.update(func(r *record) { r.Clone, r.TemplateKey = string(kind), tm.Key })
	return nil
}

// cloneKind is the wanted kind if the file system can do it, or the best one.
func (e *Engine) cloneKind(want string) (rootfs.CloneKind, error) {
	if (want == "" || want == string(rootfs.Overlay)) && e.overlays() {
		return rootfs.Overlay, nil // the best one: the others need not be tried
	}
	can := e.kinds()
	for _, k := range can {
		if want == "" || string(k) == want {
			return k, nil
		}
	}
	return "", &OpError{Op: "clone by " + want, Target: e.paths.Root, Err: ErrNotSupported, Hint: fmt.Sprintf("this file system can do %v", can)}
}

// rootSpec says how the guest's root is mounted.
func (g *guest) rootSpec() (*rootfs.Root, error) {
	r := &rootfs.Root{UID: g.hostID(), OwnNetNS: g.run.OwnNet, GuestDir: g.e.paths.Guest(g.spec.Name)}
	if g.tree != nil {
		r.Kind, r.Tree, r.Binds = rootfs.DirectRoot, g.tree.RootFS(), g.tree.Binds
		return r, nil
	}
	tm, err := g.e.templates().Lookup(g.rec.Spec.Template.Name, g.rec.TemplateKey)
	if err != nil {
		return nil, &OpError{Op: "find the template of guest", Target: g.spec.Name, Err: err, Hint: "was its folder removed by hand?"}
	}
	r.Nesting = g.spec.Nesting
	r.Kind, r.Template, r.Binds = rootfs.CloneKind(g.rec.Clone).Root(), tm.RootFS(), slices.Clone(tm.Binds)
	r.Tree = filepath.Join(r.GuestDir, "root")
	if m := g.rec.Spec.Limits.Memory; m != nil {
		r.Memory = *m
	}
	return r, nil
}

func hostname(s *Spec) string {
	if s.Hostname != "" {
		return s.Hostname
	}
	return s.Name
}

// Fingerprint identifies what a guest was declared as, for comparing.
func Fingerprint(s *Spec) string {
	c := *s
	c.Pos, c.KeyPos, c.Custom = Pos{}, nil, nil
	data, _ := json.Marshal(&c)
	return string(data)
}
