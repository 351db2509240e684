package engine

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
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
	kind    initKind
	argv    []string
	root    *rootfs.OpenRoot
	mount   string // of the root, on the thread that boots
	cgroup  *os.File
	joins   []*os.File // v1 groups, which the child joins itself
	files   []*os.File // 0, 1, 2 and what the reaper gets
	guard   *os.File   // Landlock ruleset, where the guest is on the host's stack
	notify  *notifySocket
	console *console
	logged  bool     // the reaper keeps the log
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
	if err := g.write(); err != nil {
		return err
	}
	l := &launch{g: g, args: a}
	defer l.close()
	if err := l.prepare(); err != nil {
		return err
	}
	prog, err := l.program()
	if err != nil {
		return err
	}
	attr := l.attr(ctx, prog)
	attr.OnPTY(func(pty *spawn.PTY) { l.console, err = g.startConsole(pty) })
	proc, err := spawn.Start(attr)
	if err != nil {
		return err
	}
	g.proc = &child{proc}
	start, err := sys.StartTime(proc.PID)
	if err != nil {
		return &OpError{Op: "boot guest", Target: g.spec.Name, Err: g.diedEarly(ctx)}
	}
	g.run.PID, g.run.StartTime, g.run.Since, g.run.Init = proc.PID, start, time.Now().UTC(), l.kind.name
	g.notify, l.notify = l.notify, nil
	g.console, l.console = l.console, nil
	if err := g.e.writeRun(g.spec.Name, g.run); err != nil {
		return err
	}
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
		Err: fmt.Errorf("%s: %w", l.argv[0], sys.Errno(binary.NativeEndian.Uint32(errno[:])))}
}

// prepare opens everything that the child will use.
func (l *launch) prepare() (err error) {
	g := l.g
	root, err := g.rootSpec()
	if err != nil {
		return err
	}
	if l.mount, err = rootfs.MountPoint(); err != nil {
		return err
	}
	if err := l.chooseInit(root); err != nil {
		return err
	}
	if l.kind.name == "systemd" {
		if l.notify, err = g.listenNotify(); err != nil {
			return err
		}
		root.Binds = append(root.Binds, rootfs.Bind{Source: g.e.paths.Notify(g.spec.Name), Target: notifyPath})
	}
	if l.files, err = l.openLog(); err != nil {
		return err
	}
	if err := l.openFailed(); err != nil {
		return err
	}
	root.Secrets, g.secrets = g.secrets, nil
	if l.root, err = root.Open(); err != nil {
		return err
	}
	grp, err := g.group()
	if err != nil {
		return err
	}
	if l.cgroup, err = grp.FD(); err != nil {
		return err
	}
	if l.joins, err = grp.JoinFiles(); err != nil {
		return err
	}
	l.guard, err = g.abstractGuard()
	return err
}

// openFailed makes the pipe by which the reaper tells that its command cannot
// be executed.
func (l *launch) openFailed() (err error) {
	if !l.kind.reaper || len(l.argv) == 0 {
		return nil
	}
	l.logged = len(l.files) > 3
	var w *os.File
	if l.failed, w, err = os.Pipe(); err == nil {
		l.files = append(l.files, w)
	}
	return err
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

// chooseInit settles what pid 1 is.
func (l *launch) chooseInit(root *rootfs.Root) error {
	a := l.args
	switch {
	case a.Idle:
		l.kind = kindIdle
	case len(a.Command) > 0:
		l.kind, l.argv = kindCommand, a.Command
	case len(a.Init) > 0:
		l.kind, l.argv = inits[l.g.identify(root, a.Init[0])], a.Init
	default:
		name, path := l.g.findInit(root)
		if path == "" {
			return &OpError{Op: "boot guest", Target: l.g.spec.Name, Err: errNothingToBoot,
				Hint: "give it a command, or init = { \"/path\" }; looked for " + strings.Join(initPaths, ", ")}
		}
		l.kind, l.argv = inits[name], append([]string{path}, inits[name].args...)
	}
	return nil
}

// attr says how the child is made: which namespaces, in which cgroup, and what
// the parent does while it waits.
func (l *launch) attr(ctx context.Context, prog *spawn.Program) *spawn.Attr {
	g := l.g
	flags := uint64(sys.CLONE_NEWUSER | sys.CLONE_NEWPID | sys.CLONE_NEWUTS | sys.CLONE_NEWIPC)
	if g.run.OwnNet {
		flags |= sys.CLONE_NEWNET
	}
	return &spawn.Attr{
		Name: "guest " + g.spec.Name, Program: prog, CloneFlags: flags, TimeNS: true,
		Owner:    uint32(g.hostID()),
		CgroupFD: int(l.cgroup.Fd()), Files: l.files, Context: ctx,
		Thread: sys.UnshareMounts,
		Hooks:  map[string]func(int, int) error{"root": l.attachRoot},
	}
}

// attachRoot runs while the child waits in its new namespaces.
func (l *launch) attachRoot(pid, _ int) error {
	if err := sys.WriteIDMaps(pid, uint32(l.g.hostID()), 65536); err != nil {
		return sys.Op("write id maps of guest", l.g.spec.Name, err)
	}
	if err := limitProcess(l.g.hostID(), pid, l.g.rec.Spec.Limits); err != nil {
		return sys.Op("limit pid 1 of guest", l.g.spec.Name, err)
	}
	userns, err := os.Open(fmt.Sprintf("/proc/%d/ns/user", pid))
	if err != nil {
		return err
	}
	defer userns.Close()
	_, err = l.root.Attach(int(userns.Fd()))
	return err
}

// program is what pid 1 does between its birth and its exec. rootfs.GuestMounts
// says why in this order.
func (l *launch) program() (*spawn.Program, error) {
	g, p := l.g, &spawn.Program{}
	p.Sync("root")
	for _, f := range l.joins {
		p.KeepFD(int(f.Fd()))
		p.Add("join "+f.Name(), sys.NrWrite, spawn.FD(int(f.Fd())), spawn.Str("0"), spawn.Int(1))
	}
	p.Unshare(sys.CLONE_NEWNS | sys.CLONE_NEWCGROUP)
	p.Mount(l.mount, l.mount, "", sys.MsBind|sys.MsRec, "")
	p.Chdir(l.mount)
	p.SetIDs(0, 0)
	p.PivotRoot(".", ".")
	for _, m := range rootfs.GuestMounts(rootfs.MountOpts{OwnNetNS: g.run.OwnNet, Cgroup: true}) {
		if m.Mkdir {
			p.MkdirOK(m.Target, 0o755)
		}
		s := p.Mount(m.Source, m.Target, m.FSType, m.Flags, m.Data)
		if m.Optional {
			s.Ignore(sys.ENOENT, sys.ENODEV, sys.EPERM, sys.EINVAL)
		}
	}
	p.Umount(".", sys.MntDetach)
	p.Chdir("/")
	if !l.kind.reaper {
		p.GivePTY()
		p.Symlink(consoleTarget, consolePath)
	}
	if g.run.OwnNet {
		p.LoUp()
	}
	p.SetHostname(hostname(g.spec))
	p.SetSid()
	c, err := g.confinement(l.guard, len(l.files))
	if err != nil {
		return nil, err
	}
	p.Confine(c)
	if l.kind.reaper {
		return p, l.execReaper(p)
	}
	p.Exec(l.argv[0], l.argv, l.env())
	return p, nil
}

// filters are assembled once each: with and without a network namespace.
var filters = [2]func() ([]byte, error){
	sync.OnceValues(func() ([]byte, error) { return spawn.Filter(spawn.FilterOptions{}) }),
	sync.OnceValues(func() ([]byte, error) { return spawn.Filter(spawn.FilterOptions{PrivateNet: true}) }),
}

// confinement is what every process of a guest is born with, booted or exec'd.
// files is how many descriptors it keeps.
func (g *guest) confinement(guard *os.File, files int) (spawn.Confinement, error) {
	c := spawn.Confinement{LandlockFD: -1, FirstFD: files}
	if guard != nil {
		c.LandlockFD = int(guard.Fd())
	}
	own := 0
	if g.run.OwnNet {
		own = 1
	}
	var err error
	c.Seccomp, err = filters[own]()
	return c, err
}

// execReaper ends the program with vsl's reaper as pid 1.
func (l *launch) execReaper(p *spawn.Program) error {
	reaper, err := spawn.Reaper()
	if err != nil {
		return err
	}
	p.KeepFD(int(reaper.Fd()))
	argv := spawn.ReaperArgv(l.argv, l.logged)
	if l.failed != nil {
		argv = slices.Insert(argv, 1, "-e", strconv.Itoa(len(l.files)-1))
	}
	p.ExecFD(int(reaper.Fd()), argv, l.env())
	return nil
}

// env is the environment of pid 1: clean, but for what systemd's container
// interface asks for and what the spec sets.
func (l *launch) env() []string {
	g := l.g
	env := map[string]string{
		"PATH": guestPath, "HOME": "/root", "TERM": "linux", "container": "vsl",
		"container_uuid": uuid(g.rec.MachineID),
	}
	if l.notify != nil {
		env["NOTIFY_SOCKET"] = notifyPath
	}
	for k, v := range l.args.Env {
		env[k] = v
	}
	out := make([]string, 0, len(env))
	for _, k := range sortedKeys(env) {
		out = append(out, k+"="+env[k])
	}
	return out
}

func uuid(id string) string {
	return id[:8] + "-" + id[8:12] + "-" + id[12:16] + "-" + id[16:20] + "-" + id[20:]
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
