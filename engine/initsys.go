package engine

import (
	"os"
	"path"
	"path/filepath"
	"strings"

	"vsl/engine/rootfs"
)

// initKind is what vsl knows of one kind of pid 1.
type initKind struct {
	name       string
	reaper     bool     // runs below vsl's reaper
	args       []string // after its path
	stopSignal string   // what it understands as "shut down"
	stopArgv   []string // or the command that tells it, inside the guest
}

var (
	kindIdle    = initKind{name: "idle", reaper: true, stopSignal: "TERM"}
	kindCommand = initKind{name: "command", reaper: true, stopSignal: "TERM"}
)

// inits are the inits that vsl knows: systemd(1) has real-time signals for it,
// busybox init takes USR2 for poweroff, sysvinit and OpenRC have commands.
// systemd in a container takes its arguments for the kernel's command line; a
// login prompt on the console would be one that nobody sees.
var inits = map[string]initKind{
	"systemd":  {name: "systemd", stopSignal: "RTMIN+4", args: []string{"systemd.mask=console-getty.service"}},
	"sysvinit": {name: "sysvinit", stopArgv: []string{"/sbin/telinit", "0"}},
	"openrc":   {name: "openrc", stopArgv: []string{"openrc-shutdown", "--poweroff", "now"}},
	"busybox":  {name: "busybox", stopSignal: "USR2"},
	"init":     {name: "init", stopSignal: "TERM"},
	"idle":     kindIdle,
	"command":  kindCommand,
}

// initKindOf looks up a kind that was written down.
func initKindOf(name string) initKind {
	if k, ok := inits[name]; ok {
		return k
	}
	return inits["init"]
}

// initPaths are where an init is looked for, in the kernel's order and after it.
var initPaths = []string{"/sbin/init", "/usr/sbin/init", "/etc/init", "/bin/init", "/lib/systemd/systemd", "/usr/lib/systemd/systemd", "/sbin/openrc-init"}

// findInit looks for the guest's own init: its kind and path, or "".
func (g *guest) findInit(root *rootfs.Root) (kind, at string) {
	for _, p := range initPaths {
		if k := g.identify(root, p); k != "" {
			return k, p
		}
	}
	return "", ""
}

// identify says which init a path of the guest's root is, "" where there is
// none. It reads link by link on the layers below the root and follows none
// with the kernel's help: the guest made them.
func (g *guest) identify(root *rootfs.Root, p string) string {
	layers := []string{root.Tree}
	if root.Kind == rootfs.OverlayRoot {
		layers = []string{filepath.Join(root.GuestDir, "upper"), root.Template}
	}
	real, ok := resolve(layers, p)
	if !ok {
		return ""
	}
	switch base := path.Base(real); {
	case base == "systemd":
		return "systemd"
	case base == "busybox":
		return "busybox"
	case strings.HasPrefix(base, "openrc"):
		return "openrc"
	}
	if _, ok := resolve(layers, "/sbin/telinit"); ok {
		return "sysvinit"
	}
	return "init"
}

// resolve follows a path through layered folders, the first one that has a name
// giving it, and gives the path of what it ends at.
func resolve(layers []string, p string) (string, bool) {
	done, rest := "/", strings.Split(strings.Trim(path.Clean(p), "/"), "/")
	for links := 0; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			done = path.Dir(done)
			continue
		}
		next := path.Join(done, name)
		info, at := lstatLayers(layers, next)
		if info == nil || info.Mode()&os.ModeCharDevice != 0 { // absent, or overlayfs's mark of a deletion
			return "", false
		}
		if info.Mode()&os.ModeSymlink == 0 {
			done = next
			continue
		}
		if links++; links > 40 {
			return "", false
		}
		target, err := os.Readlink(at)
		if err != nil {
			return "", false
		}
		if path.IsAbs(target) {
			done = "/"
		}
		rest = append(strings.Split(strings.Trim(target, "/"), "/"), rest...)
	}
	return done, true
}

func lstatLayers(layers []string, p string) (os.FileInfo, string) {
	for _, l := range layers {
		at := filepath.Join(l, p)
		if info, err := os.Lstat(at); err == nil {
			return info, at
		}
	}
	return nil, ""
}
