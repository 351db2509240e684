package engine

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"vsl/engine/rootfs"
)

// initKind is what vsl knows of one kind of pid 1.
type initKind struct {
	name       string
	reaper     bool       // runs below vsl's reaper
	args       []string   // after its path
	stopSignal string     // what it understands as "shut down"
	stopArgvs  [][]string // or commands that tell it, inside the guest: the first that works
}

var (
	kindIdle    = initKind{name: "idle", reaper: true, stopSignal: "TERM"}
	kindCommand = initKind{name: "command", reaper: true, stopSignal: "TERM"}
	kindOther   = initKind{name: "init", stopSignal: "TERM"}
)

// inits are the inits that vsl knows. systemd(1) has real-time signals for a
// shutdown. sysvinit, OpenRC's and runit ignore all signals that mean it and have
// commands, of which init's own program comes first: telinit and its kin may be
// another package's. busybox init and finit power off at USR2, s6-svscan stops
// what it supervises at TERM, and what only runs one command hands TERM on to it.
// systemd in a container takes its arguments for the kernel's command line; a
// login prompt on the console would be one that nobody sees.
var inits = map[string]initKind{
	"systemd":  {name: "systemd", stopSignal: "RTMIN+4", args: []string{"systemd.mask=console-getty.service"}},
	"sysvinit": {name: "sysvinit", stopArgvs: [][]string{{"/proc/1/exe", "0"}, {"/sbin/telinit", "0"}}, stopSignal: "TERM"},
	"openrc":   {name: "openrc", stopArgvs: [][]string{{"openrc-shutdown", "--poweroff", "now"}}, stopSignal: "TERM"},
	"runit":    {name: "runit", stopArgvs: [][]string{{"runit-init", "0"}, {"/lib/runit/runit-init", "0"}, {"/sbin/init", "0"}}, stopSignal: "TERM"},
	"busybox":  {name: "busybox", stopSignal: "USR2"},
	"finit":    {name: "finit", stopSignal: "USR2"},
	"s6":       {name: "s6", stopSignal: "TERM"},
	"init":     kindOther,
	"idle":     kindIdle,
	"command":  kindCommand,
}

// initPrograms tell by the name of its program which init one is. That of
// sysvinit is called init, as others' are: see fifoInits.
var initPrograms = map[string]string{
	"systemd": "systemd", "openrc-init": "openrc", "runit": "runit", "runit-init": "runit", "finit": "finit",
	"s6-svscan": "s6", "memfd:vsl-reaper": "command",
}

// fifoInits tell an init by the pipe that it listens at for commands, under
// whichever name its program is installed.
var fifoInits = map[string]string{
	"/run/initctl": "sysvinit", "/dev/initctl": "sysvinit", "/run/openrc/init.ctl": "openrc",
}

// initKindOf looks up a kind that was written down.
func initKindOf(name string) initKind {
	if k, ok := inits[name]; ok {
		return k
	}
	return kindOther
}

// runningInit says which init pid 1 is by what it is doing: files in a guest's
// root may be of an init that does not run, and pid 1 may have run another
// program since its boot. A guest that lies here lies about its own shutdown.
func runningInit(pid int, booted string) initKind {
	if k := initKindOf(booted); k.reaper {
		return k
	}
	proc := fmt.Sprintf("/proc/%d/", pid)
	exe, err := os.Readlink(proc + "exe")
	if err != nil {
		return initKindOf(booted)
	}
	base := path.Base(strings.TrimSuffix(exe, " (deleted)"))
	if kind, ok := initPrograms[base]; ok {
		return inits[kind]
	}
	comm, _ := os.ReadFile(proc + "comm")
	name := strings.TrimSpace(string(comm))
	if base == "busybox" && (name == "init" || name == "linuxrc") {
		return inits["busybox"]
	}
	if kind, ok := initPrograms[name]; ok {
		return inits[kind]
	}
	if kind := listensAt(proc + "fd"); kind != "" {
		return inits[kind]
	}
	return kindOther
}

// maxInitFDs is how many of pid 1's descriptors are looked at: the pipe of an
// init is among its first.
const maxInitFDs = 64

// listensAt says of which init the pipes are that a process has open.
func listensAt(dir string) string {
	d, err := os.Open(dir)
	if err != nil {
		return ""
	}
	defer d.Close()
	fds, _ := d.Readdirnames(maxInitFDs)
	for _, fd := range fds {
		if at, err := os.Readlink(path.Join(dir, fd)); err == nil && fifoInits[at] != "" {
			return fifoInits[at]
		}
	}
	return ""
}

// hears tells whether a process has a use for a signal: it catches it, blocks it
// to read it from a descriptor, or waits for signals right now, for which the
// kernel unblocks them. All else, SIGKILL apart, never reaches a pid 1
// (pid_namespaces(7)). What cannot be told counts as heard.
func hears(pid, sig int) bool {
	const kill, stop = 9, 19
	if sig == kill || sig == stop {
		return true
	}
	at, err := os.ReadFile(fmt.Sprintf("/proc/%d/wchan", pid))
	if err != nil || len(at) < 2 || strings.Contains(string(at), "sigtimedwait") { // "0" of one that runs
		return true
	}
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return true
	}
	for line := range strings.Lines(string(data)) {
		name, mask, _ := strings.Cut(line, ":")
		if name != "SigBlk" && name != "SigCgt" {
			continue
		}
		bits, err := strconv.ParseUint(strings.TrimSpace(mask), 16, 64)
		if err != nil || bits&(1<<(sig-1)) != 0 {
			return true
		}
	}
	return false
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

// identify guesses which init a path of the guest's root is, "" where there is
// none: what it must be started with depends on that, and what is done once it
// runs on runningInit. It reads link by link on the layers below the root and
// follows none with the kernel's help: the guest made them.
func (g *guest) identify(root *rootfs.Root, p string) string {
	layers := []string{root.Tree}
	if root.Kind == rootfs.OverlayRoot {
		layers = []string{filepath.Join(root.GuestDir, "upper"), root.Template}
	}
	real, ok := resolve(layers, p)
	if !ok {
		return ""
	}
	base := path.Base(real)
	if kind, ok := initPrograms[base]; ok {
		return kind
	}
	if base == "busybox" && path.Base(p) == "init" {
		return "busybox"
	}
	if same, ok := resolve(layers, "/sbin/telinit"); ok && same == real {
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
