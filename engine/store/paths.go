// Package store is what vsl keeps on disk: where each thing lives, how a file
// is replaced whole, how a guest is locked, and the undo journal. The kernel is
// the truth about what runs; this package holds only what the kernel cannot know.
package store

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"vsl/engine/internal/sys"
)

// DefaultRoot is where state lives without --root; its hints live in DefaultRun.
const (
	DefaultRoot = "/var/lib/vsl"
	DefaultRun  = "/run/vsl"
)

// BasePrefix begins the name of every root's contexts; see Base.
const BasePrefix = "vsl"

// Paths is the layout of one state root.
type Paths struct {
	Root string // absolute and without links, whether it exists yet or not
	Run  string
}

// NewPaths gives the layout below root; "" is DefaultRoot.
func NewPaths(root string) (Paths, error) {
	if root == "" || root == DefaultRoot {
		return Paths{Root: DefaultRoot, Run: DefaultRun}, nil
	}
	abs, err := filepath.Abs(root)
	if err != nil {
		return Paths{}, sys.Op("resolve state root", root, err)
	}
	if abs, err = resolve(abs); err != nil {
		return Paths{}, sys.Op("resolve state root", root, err)
	}
	if isDefault(abs) {
		return Paths{Root: DefaultRoot, Run: DefaultRun}, nil
	}
	return Paths{Root: abs, Run: filepath.Join(abs, "run")}, nil
}

// isDefault tells whether a folder is the default root by another of its names,
// as where that is a link to a larger disk, or mounted in two places.
func isDefault(abs string) bool {
	if own, err := resolve(DefaultRoot); err == nil && own == abs {
		return true
	}
	a, err := os.Stat(abs)
	if err != nil {
		return false
	}
	b, err := os.Stat(DefaultRoot)
	return err == nil && os.SameFile(a, b)
}

// resolve follows every link in an absolute path as far as the path exists, and
// takes the rest as it is: a root has one name, before it is made and after. What
// cannot be looked at is left to whoever opens it.
func resolve(abs string) (string, error) {
	done, rest := "/", strings.Split(abs, "/")
	for links := 0; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		if name == "" || name == "." {
			continue
		}
		next := filepath.Join(done, name) // of "..": what is above, since done has no links
		target, err := os.Readlink(next)
		if err != nil { // no link, or nothing
			done = next
			continue
		}
		if links++; links > maxLinks {
			return "", sys.ELOOP
		}
		if filepath.IsAbs(target) {
			done = "/"
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return done, nil
}

// maxLinks is how many links the kernel follows in one path (path_resolution(7)).
const maxLinks = 40

// Base names this root's contexts in the cgroup hierarchy: two roots never
// share a name.
func (p Paths) Base() string {
	if p.Root == DefaultRoot {
		return BasePrefix
	}
	sum := sha256.Sum256([]byte(p.Root))
	return BasePrefix + "-" + hex.EncodeToString(sum[:4])
}

// Guests, Templates, XIDs and Cache are the folders below the root.
func (p Paths) Guests() string    { return filepath.Join(p.Root, "guests") }
func (p Paths) Templates() string { return filepath.Join(p.Root, "templates") }
func (p Paths) XIDs() string      { return filepath.Join(p.Root, "xids") }

// SecretKey is the key by which it can be told whether a secret has changed.
func (p Paths) SecretKey() string { return filepath.Join(p.Root, "secret.key") }

// Guest is the folder of one guest; the other methods give what is in it. Begun is a
// mark that the run which makes the guest has not come to its end.
func (p Paths) Guest(name string) string   { return filepath.Join(p.Guests(), name) }
func (p Paths) Record(name string) string  { return filepath.Join(p.Guest(name), "guest.json") }
func (p Paths) Begun(name string) string   { return filepath.Join(p.Guest(name), ".begun") }
func (p Paths) Ended(name string) string   { return filepath.Join(p.Guest(name), "ended.json") }
func (p Paths) Data(name string) string    { return filepath.Join(p.Guest(name), "data.json") }
func (p Paths) Recipe(name string) string  { return filepath.Join(p.Guest(name), "recipe") }
func (p Paths) Console(name string) string { return filepath.Join(p.Guest(name), "console.log") }

// RunFile holds the hint about a running context, Journal what must be undone
// if this run does not finish, Notify the socket a guest reports readiness on.
func (p Paths) RunFile(name string) string { return filepath.Join(p.Run, name+".json") }
func (p Paths) Journal(name string) string { return filepath.Join(p.Run, name+".journal") }
func (p Paths) Notify(name string) string  { return filepath.Join(p.Run, name+".notify") }

// Ensure makes the folders, 0700 and owned by the caller.
func (p Paths) Ensure() error {
	for _, d := range []string{p.Root, p.Guests(), p.Templates(), p.XIDs(), p.Run} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return &sys.OpError{Op: "create state folder", Target: d, Err: cause(err), Hint: "vsl runs as root; --root names another folder"}
		}
	}
	return nil
}

// RemoveEmpty takes the folders away that have nothing in them.
func (p Paths) RemoveEmpty() {
	for _, d := range []string{p.Guests(), p.Templates(), p.XIDs(), p.Run, p.Root} {
		os.Remove(d)
	}
}

// ValidName tells whether a guest or template may be called so: it becomes a
// file name, a cgroup name and a host name.
func ValidName(name string) error {
	if name == "" || len(name) > 63 {
		return fmt.Errorf("a name has 1 to 63 characters, not %d", len(name))
	}
	for i, c := range []byte(name) {
		ok := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || i > 0 && (c == '-' || c == '_' || c == '.')
		if !ok {
			return fmt.Errorf("a name begins with a letter or digit and goes on with letters, digits, '-', '_' and '.'; %q is neither", string(rune(c)))
		}
	}
	return nil
}

// cause strips os.PathError, whose operation and path OpError repeats.
func cause(err error) error {
	if pe, ok := err.(*os.PathError); ok {
		return pe.Err
	}
	if le, ok := err.(*os.LinkError); ok {
		return le.Err
	}
	return err
}
