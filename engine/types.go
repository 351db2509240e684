package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"vsl/engine/cgroup"
	"vsl/engine/internal/sys"
	"vsl/engine/ipbind"
)

// Pos is where in a recipe something was declared. The zero value is nowhere.
type Pos struct {
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
}

func (p Pos) String() string {
	if p.File == "" {
		return ""
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}

// Spec declares one guest. It is plain data: reading a recipe makes specs, and
// only a plan made from them acts. It is kept as JSON beside the guest.
type Spec struct {
	Name     string            `json:"name"`
	Template *Template         `json:"template"`
	Clone    string            `json:"clone,omitempty"`    // overlay, reflink, copy; "" is the best that the file system can do
	Hostname string            `json:"hostname,omitempty"` // "" is the name
	Init     []string          `json:"init,omitempty"`     // argv of the guest's own init; nil looks for one unless Command is set
	Command  []string          `json:"command,omitempty"`  // argv of a plain command, run below the reaper
	Env      map[string]string `json:"env,omitempty"`
	Nesting  bool              `json:"nesting,omitempty"` // it may mount proc, sysfs and FUSE of its own, and so see behind the masks
	Limits   Limits            `json:"limit,omitzero"`
	Net      Net               `json:"net,omitzero"`
	Stop     Stop              `json:"stop,omitzero"`
	Ready    *Probe            `json:"ready,omitempty"` // nil is the default: notification for systemd, else that pid 1 runs
	After    map[string]string `json:"after,omitempty"` // guest name to "started" or "ready"
	// Timeouts bound flows by their phase; PhaseTimes are the defaults.
	Timeouts map[string]time.Duration `json:"timeout,omitempty"`
	Secrets  map[string]Secret        `json:"secrets,omitempty"`
	Pool     string                   `json:"pool,omitempty"` // the pool that it is of, "" where of none

	Pos Pos `json:"pos,omitzero"`
	// KeyPos gives the line of each key of the declaration, for errors; "limit.memory" for nested ones.
	KeyPos map[string]Pos `json:"-"`
	// Custom names the flows that the recipe gives itself, by phase, and its hooks: "hooks.before_boot".
	Custom map[string]Pos `json:"custom,omitempty"`
	// Ends are the fingerprints of the flows that end the guest with the hooks around
	// them, by phase: shutdown and destroy. nil is from before vsl noted them.
	Ends map[string]string `json:"ends,omitempty"`
}

// Secret says where the text of a secret is, and how the guest gets it: as a
// file of /run/secrets. The text itself is in no spec, and so in no plan, record
// or message.
type Secret struct {
	File  string      `json:"file,omitempty"`  // of the host, absolute
	Env   string      `json:"env,omitempty"`   // or a variable of vsl's own environment
	Owner int         `json:"owner,omitempty"` // uid and gid in the guest
	Mode  os.FileMode `json:"mode,omitempty"`  // 0 is 0400
}

func (s Secret) String() string {
	if s.Env != "" {
		return "env:" + s.Env
	}
	return "file:" + s.File
}

// Pool is a number of guests made by one rule; their names are the pool's with
// their numbers, from 1 to Size.
type Pool struct {
	Name           string `json:"name"`
	Size           int    `json:"size"`
	MaxUnavailable int    `json:"max_unavailable"` // how many that run may be replaced at once
	Partial        bool   `json:"-"`               // only some of its guests are asked for: those beyond its size stay
	Pos            Pos    `json:"pos,omitzero"`
}

// Template declares what guests are cloned from.
type Template struct {
	Name  string `json:"name"`
	From  Source `json:"from"`
	Build string `json:"build,omitempty"` // fingerprint of the build flow; "" where there is none
	Net   Net    `json:"net,omitzero"`    // network of the context in which the build flow runs
	Pos   Pos    `json:"pos,omitzero"`
}

// takesBuilding is false for the host's own /usr as it is.
func (t *Template) takesBuilding() bool { return t.From.Kind != "host" || t.Build != "" }

// Source says where a template's base comes from. Kind is host, debian, tar or
// template; the other fields belong to one kind each.
type Source struct {
	Kind     string   `json:"kind"`
	Suite    string   `json:"suite,omitempty"`    // debian
	Mirror   string   `json:"mirror,omitempty"`   // debian: an archive's URL; "" is the host's own, else Debian's
	Variant  string   `json:"variant,omitempty"`  // debian: a mmdebstrap variant; "" is minbase
	Packages []string `json:"packages,omitempty"` // debian
	Path     string   `json:"path,omitempty"`     // tar: absolute
	SHA256   string   `json:"sha256,omitempty"`   // tar: wanted digest in hex, or ""
	MaxSize  int64    `json:"max_size,omitempty"` // tar: bytes that its files may hold; 0 is 16 GiB
	Template string   `json:"template,omitempty"` // template: another template's name
}

// Limits is what a guest may use: the context's limits and what each of its
// processes begins with.
type Limits struct {
	cgroup.Limits
	Rlimits map[string]Rlimit `json:"rlimits,omitempty"` // "nofile" to its values
	Nice    *int              `json:"nice,omitempty"`    // -20..19
	Sched   *Sched            `json:"sched,omitempty"`
	Sockets *int64            `json:"sockets,omitempty"` // TCP, UDP and ping; those that it accepted are not among them
	Ports   *int64            `json:"ports,omitempty"`   // sockets that hold a port
}

// Rlimit is a resource limit of each process (getrlimit(2)); -1 is infinity.
type Rlimit struct {
	Soft int64 `json:"soft"`
	Hard int64 `json:"hard"`
}

// Check refuses what setrlimit(2) would.
func (r Rlimit) Check() error {
	if r.Hard >= 0 && (r.Soft < 0 || r.Soft > r.Hard) {
		return errors.New("soft is more than hard")
	}
	return nil
}

// Sched is a scheduling policy (sched(7)): other, batch, idle, fifo or rr.
type Sched struct {
	Policy   string `json:"policy"`
	Priority int    `json:"priority,omitempty"` // 1..99 for fifo and rr
}

// Net is a guest's place on the network.
type Net struct {
	Mode  string    `json:"mode,omitempty"` // bind, none; "" is bind where there are addresses, else none
	Addrs []Address `json:"addrs,omitempty"`
}

// Address is one address of a guest.
type Address struct {
	IP  string `json:"ip"`            // "198.51.100.5" or "198.51.100.5/24"
	Dev string `json:"dev,omitempty"` // "" is the device that has it or whose subnet it is in
}

// Stop says how a guest is brought down.
type Stop struct {
	Signal   string        `json:"signal,omitempty"`  // "" is what its init understands as shut down
	Timeout  time.Duration `json:"timeout,omitempty"` // 0 is 30 s; after it the sequence goes on
	Sequence []StopStep    `json:"sequence,omitempty"`
}

// StopStep is one more signal for every process of the guest, and how long it
// has to work. cgroup.kill ends every sequence.
type StopStep struct {
	Signal string        `json:"signal"`
	Wait   time.Duration `json:"wait"`
}

// Probe says when a guest is ready. Kind is notify, tcp, http, exec, file, log,
// started or flow (a Lua function).
type Probe struct {
	Kind   string        `json:"kind"`
	Port   int           `json:"port,omitempty"`   // tcp, http
	Path   string        `json:"path,omitempty"`   // http, file
	Status int           `json:"status,omitempty"` // http: wanted status; 0 is 200..399
	Argv   []string      `json:"argv,omitempty"`   // exec: ready when it exits 0
	Match  string        `json:"match,omitempty"`  // log: plain text in a line of the guest's log
	Within time.Duration `json:"within,omitempty"` // 0 is what the guest's timeout gives ready, else 60 s
	Every  time.Duration `json:"every,omitempty"`  // 0 is 5 ms, growing to 1 s
	// Timeout bounds each try; 0 is 5 s.
	Timeout time.Duration `json:"timeout,omitempty"`
}

// Guest is a handle on one guest: what flows and the REPL act on. Its first six
// methods after the names are the primitives.
type Guest interface {
	Name() string
	XID() int // 0 before Context
	Spec() *Spec

	Context(ctx context.Context) error
	CowClone(ctx context.Context, a CloneArgs) error
	Limit(ctx context.Context, l Limits) error
	BindIP(ctx context.Context, n Net) error
	Boot(ctx context.Context, a BootArgs) error
	Kill(ctx context.Context, a KillArgs) error

	Status(ctx context.Context) (Status, error)
	Exec(ctx context.Context, a ExecArgs) (ExecResult, error)
	WriteFile(ctx context.Context, path string, data []byte, a WriteArgs) error
	ReadFile(ctx context.Context, path string) ([]byte, error)
	Mkdir(ctx context.Context, path string, mode os.FileMode) error // with its parents
	Remove(ctx context.Context, path string) error                  // whole trees too; absent is no error
	Exists(ctx context.Context, path string) (bool, error)
	Glob(ctx context.Context, pattern string) ([]string, error)
	CopyIn(ctx context.Context, hostPath, guestPath string) error
	CopyOut(ctx context.Context, guestPath, hostPath string) error
	Wait(ctx context.Context) (Exit, error)
	WaitReady(ctx context.Context, p Probe) error
	LogTail(lines int) []string

	// Data is what flows keep of the guest between commands, as JSON; nil is none yet.
	Data(ctx context.Context) ([]byte, error)
	SetData(ctx context.Context, data []byte) error
}

// CloneArgs are the arguments of cow_clone.
type CloneArgs struct {
	Template *Template // must be built
	Kind     string    // overlay, reflink, copy or ""
}

// BootArgs are the arguments of boot.
type BootArgs struct {
	Init     []string
	Command  []string
	Env      map[string]string
	Hostname string
	Idle     bool // pid 1 only waits: what provisioning runs in
}

// KillArgs are the arguments of kill. The zero value is the last resort: every
// process at once, by cgroup.kill, and all that the context held is released.
type KillArgs struct {
	Graceful bool          // first ask init to shut down, as Stop says
	Signal   string        // with All or to init: this signal and nothing more
	All      bool          // Signal goes to every process, not only to init
	Timeout  time.Duration // of the graceful part; 0 is what the spec says
}

// ExecArgs describe a command run inside a running guest.
type ExecArgs struct {
	Argv    []string
	Env     map[string]string
	Dir     string // "" is /
	User    string // name or uid inside the guest; "" is root
	Stdin   io.Reader
	Stdout  io.Writer // nil collects into the result
	Stderr  io.Writer // nil collects into the result; what is also Stdout keeps its order
	Timeout time.Duration
	TTY     *TTY // for enter: a pty made inside the guest

	// Signals are passed on to the command's process group, by their numbers, one
	// after the other; 0 does nothing. The second TERM or INT kills it and all that
	// it started. With a TTY the first of those that end a program hangs the terminal
	// up. Before the command runs such a signal is a Signalled error.
	Signals <-chan int
}

// TTY connects a command's pty with a terminal of ours.
type TTY struct {
	In     *os.File
	Out    *os.File
	Resize <-chan WinSize
}

// WinSize is a terminal's size in characters.
type WinSize struct{ Rows, Cols uint16 }

// ExecResult is what a command left. Code is 128+n when signal n killed it.
type ExecResult struct {
	Code           int
	Signal         int
	Stdout, Stderr []byte
}

// WriteArgs say how to write a file. Mode 0 is 0644.
type WriteArgs struct {
	Append bool
	Mode   os.FileMode
}

// Exit says how a guest's pid 1 ended. Reboot is true when the guest asked for
// a restart, Halt when it asked to be shut down (reboot(2) in a pid namespace).
type Exit struct {
	Known  bool `json:"known"`
	Code   int  `json:"code"`
	Signal int  `json:"signal"`
	Reboot bool `json:"reboot"`
	Halt   bool `json:"halt"`
}

// State is what a guest does.
type State string

const (
	StateDeclared State = "declared" // only in a recipe
	StateStopped  State = "stopped"
	StateRunning  State = "running"
	StateFrozen   State = "frozen"
	StateBroken   State = "unreadable" // its record cannot be read
	StateFailed   State = "failed"     // it did not come up and was kept as it was then, running or not
)

// Failure says how far a guest came that failed to come up and was kept.
type Failure struct {
	Phase string    `json:"phase"` // as GuestError's
	At    time.Time `json:"at"`
	New   bool      `json:"new"` // it was made in the same run: without keeping, nothing of it would be left
}

// Status is what can be said of a guest; it is also the JSON of ls and status.
type Status struct {
	Name      string        `json:"name"`
	XID       int           `json:"xid"`
	State     State         `json:"state"`
	PID       int           `json:"pid"` // of its pid 1 on the host; 0 when stopped
	IP        []string      `json:"ip"`
	Template  string        `json:"template"`
	Clone     string        `json:"clone"` // overlay, reflink or copy
	Recipe    string        `json:"recipe"`
	Since     time.Time     `json:"since,omitzero"` // of the last boot
	Hostname  string        `json:"hostname,omitempty"`
	Init      string        `json:"init,omitempty"` // systemd, sysvinit, openrc, runit, busybox, finit, s6, init, command, idle: by what runs
	CGroup    string        `json:"cgroup,omitempty"`
	Processes int           `json:"processes,omitempty"`
	Limits    *Limits       `json:"limits,omitempty"`
	Usage     *cgroup.Usage `json:"usage,omitempty"`
	Sockets   *ipbind.Use   `json:"sockets,omitempty"` // of a guest on the host's network
	Ready     bool          `json:"ready"`
	Pool      string        `json:"pool,omitempty"`
	Spare     bool          `json:"spare,omitempty"` // its pool has become smaller
	Failed    *Failure      `json:"failed,omitempty"`
	Ended     *Ended        `json:"ended,omitempty"` // its last run, of what does not run
}

// OpError is the error of every kernel operation.
type OpError = sys.OpError
