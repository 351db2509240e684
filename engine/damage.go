package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"vsl/engine/internal/sys"
	"vsl/engine/store"
)

// Damage is the error of a guest one of whose state files cannot be understood. What
// it stands for is kept as it is and is in nobody's way: its name and its ids stay
// taken, and every verb goes on with the other guests.
type Damage struct {
	Guest string
	Newer bool // a newer vsl wrote the file: this one touches nothing of the guest
	*OpError
}

// Unwrap lets errors.As find the OpError, whose hint is the remedy.
func (d *Damage) Unwrap() error { return d.OpError }

// damaged makes a Damage of what was wrong with a file of a guest.
func damaged(guest, what, file string, err error, remedy string) error {
	if sys.Scarce(err) {
		return sys.Op("read "+what+" of guest "+guest, file, err) // nothing is wrong with the file
	}
	d := &Damage{Guest: guest, Newer: errors.Is(err, store.ErrNewer)}
	if d.Newer {
		remedy = "nothing of the guest was touched; use the vsl that wrote it"
	}
	var op *OpError
	if errors.As(err, &op) && op.Target == file {
		err = op.Err
	}
	d.OpError = &OpError{Op: "read " + what + " of guest " + guest, Target: file, Err: err, Hint: remedy}
	return d
}

// asDamage finds the Damage in an error.
func asDamage(err error) *Damage {
	var d *Damage
	errors.As(err, &d)
	return d
}

// recordRemedy is what to do about a guest whose record cannot be read.
func recordRemedy(name string) string {
	return fmt.Sprintf("put it back from a backup; vsl down %s ends what runs of the guest, vsl rm -ff %s removes it and all it wrote", name, name)
}

// check finds what a record must have, whoever wrote it.
func (r *record) check(name string) error {
	switch {
	case r.Version < 1, r.XID < store.MinXID || r.XID > store.MaxXID, r.Spec == nil, r.TemplateKey != "" && r.Spec.Template == nil:
		return fmt.Errorf("%w: it lacks what every record has", store.ErrDamaged)
	case r.Name != name:
		return fmt.Errorf("%w: it is that of guest %q", store.ErrDamaged, r.Name)
	case r.Spec.Name != name:
		return fmt.Errorf("%w: it declares guest %q", store.ErrDamaged, r.Spec.Name)
	}
	return nil
}

// withoutRecord says what a guest's folder without a record is: nil where there is
// none, or nothing in it, or what a run has begun and not finished; else something
// that was a guest.
func (e *Engine) withoutRecord(name string) error {
	if _, err := os.Lstat(e.paths.Journal(name)); err == nil || e.begun(name) {
		return nil
	}
	entries, err := os.ReadDir(e.paths.Guest(name))
	if err != nil || len(entries) == 0 {
		return nil // nothing there, or somebody removes it now
	}
	file := e.paths.Record(name)
	return damaged(name, "record", file, fmt.Errorf("it is missing, and there is %s", filepath.Join(filepath.Dir(file), entries[0].Name())), recordRemedy(name))
}

// begun tells whether the run that makes the guest has not come to its end: all there
// is of the guest is that run's. A journal says so too, but not after a power cut.
func (e *Engine) begun(name string) bool {
	_, err := os.Lstat(e.paths.Begun(name))
	return err == nil
}
