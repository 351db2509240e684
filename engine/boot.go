package engine

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"time"

	"vsl/engine/internal/sys"
	"vsl/engine/ipbind"
	"vsl/engine/rootfs"
	"vsl/engine/spawn"
)

// guestPath is the search path that a guest's processes begin with.
const guestPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// execPatience bounds the wait for a command's execve: a frozen context would
// otherwise hold up the boot.
const execPatience = 5 * time.Second

// launch gathers all that one boot needs; close lets go of it.
type launch struct {
	g       *guest
	args    BootArgs
	pid1    pid1
	root    *rootfs.OpenRoot
	cgroup  *os.File
	joins   []*os.File // v1 groups, which the child joins itself
	files   []*os.File // 0, 1, 2 and what the reaper gets
	guard   *os.File   // Landlock ruleset, where the guest is on the host's stack
	notify  *notifySocket
	console *console
	reader  *logReader
	failed  *os.File // says why the command below the reaper did not start
}

// boot composes the program of pid 1 and starts it. Until its exec the child
// dies with us, so a boot that is killed leaves no process; from then on
// nothing of vsl stays behind.
func (g *guest) boot(ctx context.Context, a BootArgs) error {
	if g.running() {
		return nil
	}
	if g.rec.Clone == "" && g.tree == nil {
		return &OpError{Op: "boot guest", Target: g.spec.Name, Err: errNothingToBoot, Hint: "call cow_clone first"}
	}
	if g.run.Net == nil {
		if err := g.ownNet(Net{Mode: "none"}); err != nil {
			return err
		}
	}
	if err := g.showRecord(); err != nil {
		return err
	}
	l := &launch{g: g, args: a}
	defer l.close()
	if err := l.prepare(); err != nil {
		return err
	}
	attr, err := l.attr(ctx)
	if err != nil {
		return err
	}
	attr.OnPTY(func(pty *spawn.PTY) { l.console, err = startConsole(pty, l.files[1]) })
	proc, err := spawn.Start(attr)
	if err != nil {
		return err
	}
	g.proc = &child{proc}
	start, err := sys.StartTime(proc.PID)
	if err != nil {
		return &OpError{Op: "boot guest", Target: g.spec.Name, Err: g.diedEarly(ctx)}
	}
	g.run.PID, g.run.StartTime, g.run.Since, g.run.Init = proc.PID, start, time.Now().UTC(), l.pid1.kind.name
	g.notify, l.notify = l.notify, nil
	g.console, l.console = l.console, nil
	g.reader = l.reader
	if err := g.e.writeRun(g.spec.Name, g.run); err != nil {
		return err
	}
	os.Remove(g.e.paths.Ended(g.spec.Name)) // of the run before
	return l.commandStarted()
}

// commandStarted waits until the command below the reaper was executed, which
// closes the pipe, or says why it could not be.
func (l *launch) commandStarted() error {
	if l.failed == nil {
		return nil
	}
	last := len(l.files) - 1
	l.files[last].Close() // the child has its own
	l.files = l.files[:last]
	l.failed.SetReadDeadline(time.Now().Add(execPatience))
	var errno [4]byte
	if _, err := io.ReadFull(l.failed, errno[:]); err != nil {
		return nil // executed, or on a host too busy to tell
	}
	return &OpError{Op: "run command of guest", Target: l.g.spec.Name,
		Err: &spawn.ChildError{Name: "exec " + l.pid1.argv[0], Err: sys.Errno(binary.NativeEndian.Uint32(errno[:]))}}
}

// prepare opens everything that the child will use, and says what it is.
func (l *launch) prepare() (err error) {
	g, c := l.g, &l.pid1
	root, err := g.rootSpec()
	if err != nil {
		return err
	}
	if c.mount, err = rootfs.MountPoint(); err != nil {
		return err
	}
	if c.kind, c.argv, err = g.chooseInit(root, l.args); err != nil {
		return err
	}
	c.hostname, c.ownNet, c.nesting = hostname(g.spec), g.run.OwnNet, root.Nesting
	c.env = c.kind.env(g.rec.MachineID, l.args.Env)
	if c.kind.name == "systemd" {
		if l.notify, err = g.listenNotify(); err != nil {
			return err
		}
		root.Binds = append(root.Binds, rootfs.Bind{Source: g.e.paths.Notify(g.spec.Name), Target: notifyPath})
	}
	if err := l.openFiles(); err != nil {
		return err
	}
	root.Secrets, g.secrets = g.secrets, nil
	if l.root, err = root.Open(); err != nil {
		return err
	}
	return l.openContext()
}

// openContext opens what puts the child into the guest's context.
func (l *launch) openContext() error {
	grp, err := l.g.group()
	if err != nil {
		return err
	}
	if l.cgroup, err = grp.FD(); err != nil {
		return err
	}
	if l.joins, err = grp.JoinFiles(); err != nil {
		return err
	}
	for _, f := range l.joins {
		l.pid1.joins = append(l.pid1.joins, descriptor{f.Name(), int(f.Fd())})
	}
	if l.guard, err = l.g.abstractGuard(); err != nil {
		return err
	}
	l.pid1.guard = fdOf(l.guard)
	l.pid1.reaper = -1
	if l.pid1.kind.reaper {
		reaper, err := spawn.Reaper()
		if err != nil {
			return err
		}
		l.pid1.reaper = int(reaper.Fd())
	}
	return nil
}

// abstractGuard is what keeps a guest on the host's stack from the abstract
// UNIX sockets of others, where Landlock does it. nil where nothing is needed,
// or where BPF does it.
func (g *guest) abstractGuard() (*os.File, error) {
	if g.run.OwnNet {
		return nil, nil
	}
	kind, err := ipbind.AbstractGuard()
	if err != nil || kind != "landlock" {
		return nil, err
	}
	return sys.LandlockAbstractScope()
}

// attr says how the child is made, in which cgroup, and what the parent does
// while it waits.
func (l *launch) attr(ctx context.Context) (*spawn.Attr, error) {
	a, err := l.pid1.attr()
	if err != nil {
		return nil, err
	}
	a.Name, a.Owner, a.CgroupFD, a.Files, a.Context = "guest "+l.g.spec.Name, uint32(l.g.hostID()), int(l.cgroup.Fd()), l.files, ctx
	a.Thread = sys.UnshareMounts
	a.Hooks = map[string]func(int, int) error{syncRoot: func(pid, pidfd int) error { return l.attachRoot(ctx, pid, pidfd) }}
	return a, nil
}

// attachRoot runs while the child waits in its new namespaces.
func (l *launch) attachRoot(ctx context.Context, pid, pidfd int) error {
	if err := sys.WriteIDMaps(pid, uint32(l.g.hostID()), 65536); err != nil {
		return sys.Op("write id maps of guest", l.g.spec.Name, err)
	}
	if err := plainProcess(l.g.hostID(), pid, l.g.rec.Spec.Limits); err != nil {
		return sys.Op("limit pid 1 of guest", l.g.spec.Name, err)
	}
	userns, err := os.Open(fmt.Sprintf("/proc/%d/ns/user", pid))
	if err != nil {
		return err
	}
	defer userns.Close()
	mp, err := l.root.Attach(int(userns.Fd()))
	if err != nil {
		return err
	}
	prog, flags := l.pid1.hostMounts()
	if err := spawn.In(ctx, "mounts of guest "+l.g.spec.Name, pidfd, flags, prog); err != nil {
		return err
	}
	return l.root.Mask(mp)
}

func (l *launch) close() {
	if l.root != nil {
		l.root.Close()
	}
	for _, f := range append(append(l.joins, l.files...), l.cgroup, l.guard, l.failed) {
		if f != nil {
			f.Close()
		}
	}
	if l.notify != nil {
		l.notify.close()
	}
	if l.console != nil {
		l.console.close()
	}
}

// child is pid 1 as our child.
type child struct{ *spawn.Process }

// Wait waits for its end. Death by SIGHUP or SIGINT is how the kernel shows
// that a pid namespace's init called reboot(2) (pid_namespaces(7)).
func (c *child) Wait(ctx context.Context) (Exit, error) {
	st, err := c.Process.Wait(ctx)
	if err != nil {
		return Exit{}, err
	}
	return exitOf(st, true), nil
}

func exitOf(st spawn.Status, known bool) Exit {
	return Exit{Known: known, Code: st.Code, Signal: st.Signal, Reboot: st.Signal == 1, Halt: st.Signal == 2}
}
