package engine

import (
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"

	"vsl/engine/internal/sys"
	"vsl/engine/rootfs"
	"vsl/engine/spawn"
)

// pid1 is all that the child of a boot depends on. A boot fills it in with what
// it has opened; a plan, which opens nothing, with spawn.Unopened for each
// descriptor. What a plan shows is therefore what a boot would run.
type pid1 struct {
	kind     initKind
	argv     []string
	env      []string
	hostname string
	mount    string       // of the root, on the thread that boots
	ownNet   bool         // a network namespace of its own
	nesting  bool         // it may mount a proc of its own
	joins    []descriptor // v1 groups, which the child joins itself
	guard    int          // Landlock ruleset, where the guest is on the host's stack; < 0: none
	reaper   int          // the program; < 0: none
	files    []string     // what 0, 1, 2 and so on are
}

// descriptor is one that is open, or spawn.Unopened, and what it is.
type descriptor struct {
	name string
	fd   int
}

// What a pid 1 can begin with.
const (
	fileNull   = "/dev/null"
	fileLog    = "log"
	fileReader = "pipe to the log's reader"
	fileOlder  = "older log"
	fileFailed = "why the command failed"
)

// syncRoot is where the child waits for its root.
const syncRoot = "root"

// fdOf is a file's descriptor, -1 of none.
func fdOf(f *os.File) int {
	if f == nil {
		return -1
	}
	return int(f.Fd())
}

// files are what a pid 1 begins with: nothing to read, and the guest's log to
// write. A command below the reaper also gets both log files, which the reaper
// fills in turn, and a pipe by which the reaper tells that it cannot be executed;
// an init gets a pipe, see logReader. While a template is built there is no log,
// and what only reaps has nothing to say.
func (k initKind) files(argv []string, template bool) []string {
	files := []string{fileNull, fileNull, fileNull}
	switch {
	case template || k.name == kindIdle.name:
	case k.reaper:
		files = []string{fileNull, fileLog, fileLog, fileLog, fileOlder}
	default:
		files = []string{fileNull, fileReader, fileReader}
	}
	if k.reaper && len(argv) > 0 {
		files = append(files, fileFailed)
	}
	return files
}

// attr has what of a boot's child depends on the guest alone: its namespaces and
// its program.
func (c *pid1) attr() (*spawn.Attr, error) {
	flags := uint64(sys.CLONE_NEWUSER | sys.CLONE_NEWPID | sys.CLONE_NEWUTS | sys.CLONE_NEWIPC)
	if c.ownNet {
		flags |= sys.CLONE_NEWNET
	}
	prog, err := c.program()
	return &spawn.Attr{Program: prog, CloneFlags: flags, TimeNS: true, CgroupFD: -1}, err
}

// program is what pid 1 does between its birth and its exec. rootfs.GuestMounts
// says why in this order.
func (c *pid1) program() (*spawn.Program, error) {
	p := &spawn.Program{}
	p.Sync(syncRoot)
	joinGroups(p, c.joins)
	p.Unshare(sys.CLONE_NEWNS | sys.CLONE_NEWCGROUP)
	p.Mount(c.mount, c.mount, "", sys.MsBind|sys.MsRec, "")
	p.Chdir(c.mount)
	p.SetIDs(0, 0)
	p.PivotRoot(".", ".")
	addMounts(p, rootfs.GuestMounts(c.mountOpts()))
	p.Umount(".", sys.MntDetach)
	p.Chdir("/")
	if !c.kind.reaper {
		p.GivePTY()
		p.Symlink(consoleTarget, consolePath)
	}
	if c.ownNet {
		p.LoUp()
	}
	p.SetHostname(c.hostname)
	p.SetSid()
	conf, err := confinement(c.ownNet, c.guard, len(c.files))
	if err != nil {
		return nil, err
	}
	p.Confine(conf)
	if c.kind.reaper {
		c.execReaper(p)
	} else {
		p.Exec(c.argv[0], c.argv, c.env)
	}
	return p, nil
}

func (c *pid1) mountOpts() rootfs.MountOpts {
	return rootfs.MountOpts{OwnNetNS: c.ownNet, Cgroup: true, Nesting: c.nesting}
}

// hostMounts is what a helper of the host's does in the child's namespaces of
// flags while the child waits for its root.
func (c *pid1) hostMounts() (p *spawn.Program, flags int) {
	p, flags = &spawn.Program{}, sys.CLONE_NEWPID
	if c.ownNet {
		flags |= sys.CLONE_NEWNET
	}
	addMounts(p, rootfs.HostMounts(c.mount, c.mountOpts()))
	if c.ownNet {
		allowPing(p, c.mount)
	}
	return p, flags
}

// allowPing lets all groups of a network namespace of a guest's own open ICMP
// sockets (ping_group_range, icmp(7)), as systemd does on hosts; a new one lets
// nobody. The numbers are the host's.
func allowPing(p *spawn.Program, mount string) {
	const all = "0 2147483647"
	fd := p.Open(path.Join(mount, "proc/sys/net/ipv4/ping_group_range"), sys.O_WRONLY, 0)
	p.Add("write ping_group_range", sys.NrWrite, fd.Result(), spawn.Str(all), spawn.Int(len(all)))
	p.Close(fd.Result())
}

func addMounts(p *spawn.Program, ms []rootfs.Mount) {
	for _, m := range ms {
		s := p.Mount(m.Source, m.Target, m.FSType, m.Flags, m.Data)
		if m.Optional {
			s.Ignore(sys.ENOENT, sys.ENODEV, sys.EPERM, sys.EINVAL)
		}
	}
}

// joinGroups puts the child into v1 groups.
func joinGroups(p *spawn.Program, joins []descriptor) {
	for _, d := range joins {
		p.KeepFD(d.fd)
		p.Add("join "+d.name, sys.NrWrite, spawn.FD(d.fd).Named(d.name), spawn.Str("0"), spawn.Int(1))
	}
}

// filters are assembled once each: with and without a network namespace.
var filters = [2]func() ([]byte, error){
	sync.OnceValues(func() ([]byte, error) { return spawn.Filter(spawn.FilterOptions{}) }),
	sync.OnceValues(func() ([]byte, error) { return spawn.Filter(spawn.FilterOptions{PrivateNet: true}) }),
}

// confinement is what every process of a guest is born with, booted or exec'd.
// guard is a Landlock ruleset or < 0, files how many descriptors it keeps.
func confinement(ownNet bool, guard, files int) (spawn.Confinement, error) {
	c := spawn.Confinement{LandlockFD: guard, FirstFD: files}
	own := 0
	if ownNet {
		own = 1
	}
	var err error
	c.Seccomp, err = filters[own]()
	return c, err
}

// execReaper ends the program with vsl's reaper as pid 1.
func (c *pid1) execReaper(p *spawn.Program) {
	p.KeepFD(c.reaper)
	argv := spawn.ReaperArgv(c.argv, slices.Contains(c.files, fileOlder))
	if at := slices.Index(c.files, fileFailed); at >= 0 {
		argv = slices.Insert(argv, 1, "-e", strconv.Itoa(at))
	}
	p.ExecFD(c.reaper, argv, c.env)
}

// env is the environment of pid 1: clean, but for what systemd's container
// interface asks for and what the spec sets.
func (k initKind) env(machineID string, own map[string]string) []string {
	env := map[string]string{
		"PATH": guestPath, "HOME": "/root", "TERM": "linux", "container": "vsl",
		"container_uuid": uuid(machineID),
	}
	if k.name == "systemd" {
		env["NOTIFY_SOCKET"] = notifyPath
	}
	for k, v := range own {
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

// chooseInit settles what pid 1 is.
func (g *guest) chooseInit(root *rootfs.Root, a BootArgs) (initKind, []string, error) {
	switch {
	case a.Idle:
		return kindIdle, nil, nil
	case len(a.Command) > 0:
		return kindCommand, a.Command, nil
	case len(a.Init) > 0:
		return initKindOf(g.identify(root, a.Init[0])), a.Init, nil
	}
	name, path := g.findInit(root)
	if path == "" {
		return initKind{}, nil, &OpError{Op: "boot guest", Target: g.spec.Name, Err: errNothingToBoot,
			Hint: "give it a command, or init = { \"/path\" }; looked for " + strings.Join(initPaths, ", ")}
	}
	return inits[name], append([]string{path}, inits[name].args...), nil
}
