package bind

import (
	"fmt"
	"slices"
	"strings"
	"time"

	lua "github.com/yuin/gopher-lua"

	"vsl/engine"
	"vsl/engine/cgroup"
)

// IOSchema is one entry of limit.io.
var IOSchema = &Schema{Name: "io limit", Doc: "Bounds what a guest does to one block device.", Keys: []Key{
	{Name: "device", Type: String, Required: true, Live: true, Doc: `the disk, such as "/dev/vda" or "254:0"`},
	{Name: "read_bps", Type: Size, Live: true, Doc: "bytes read per second", Check: checkBound},
	{Name: "write_bps", Type: Size, Live: true, Doc: "bytes written per second", Check: checkBound},
	{Name: "read_iops", Type: Count, Live: true, Doc: "read operations per second", Check: checkBound},
	{Name: "write_iops", Type: Count, Live: true, Doc: "write operations per second", Check: checkBound},
}}

// SchedSchema is limit.sched.
var SchedSchema = &Schema{Name: "sched", Doc: "The scheduling policy that a guest's processes begin with.", Keys: []Key{
	{Name: "policy", Type: Choice("other", "batch", "idle", "fifo", "rr"), Required: true, Doc: "the policy, see sched(7)"},
	{Name: "priority", Type: Int, Doc: "1 to 99, for fifo and rr", Check: inRange(0, 99)},
}}

// RlimitSchema is one entry of limit.rlimits written as a table.
var RlimitSchema = &Schema{Name: "rlimit", Doc: "A limit of each process.", Keys: []Key{
	{Name: "soft", Type: Size, Required: true, Doc: "what is enforced"},
	{Name: "hard", Type: Size, Doc: "how far a process may raise it", Default: "soft"},
}}

// LimitSchema is what a guest may use.
var LimitSchema = &Schema{Name: "limit", Doc: "Bounds what a guest may use.", Keys: []Key{
	{Name: "memory", Type: Size, Live: true, Doc: "memory that the guest may not exceed"},
	{Name: "memory_high", Type: Size, Live: true, Doc: "memory above which the guest is slowed down and reclaimed from"},
	{Name: "swap", Type: Size, Live: true, Doc: "swap beside memory"},
	{Name: "cpu", Type: CPU, Live: true, Doc: `run time in cores, such as 0.5, or "50%"`},
	{Name: "cpu_burst", Type: Duration, Live: true, Doc: "unused run time that may be saved up"},
	{Name: "cpu_weight", Type: Int, Live: true, Default: "100", Doc: "share of the cpu under contention, 1 to 10000", Check: inRange(1, 10000)},
	{Name: "cpuset", Type: String, Live: true, Doc: `the cpus to run on, such as "0-1,4"`, Check: checkCPUSet},
	{Name: "pids", Type: Count, Live: true, Doc: "processes and threads", Check: checkPids},
	{Name: "sockets", Type: Count, Live: true, Default: "8192", Doc: "TCP and UDP sockets of a guest on the host's network, those of accept not counted"},
	{Name: "ports", Type: Count, Live: true, Default: "4096", Doc: "sockets of such a guest that are bound to a port or connected: all share the host's ports"},
	{Name: "io_weight", Type: Int, Live: true, Default: "100", Doc: "share of the disks under contention, 1 to 10000", Check: inRange(1, 10000)},
	{Name: "io", Type: ListOf(IOSchema), Live: true, Doc: "bounds per block device"},
	{Name: "oom_group", Type: Bool, Live: true, Default: "false", Doc: "running out of memory kills the whole guest, not one process"},
	{Name: "rlimits", Type: rlimits, Live: true, Doc: "limits of each process by name, such as { nofile = 1024 }"},
	{Name: "nice", Type: Int, Live: true, Default: "0", Doc: "niceness, -20 to 19", Check: inRange(-20, 19)},
	{Name: "sched", Type: Object(SchedSchema), Live: true, Doc: "scheduling policy"},
}}

func checkCPUSet(v any) error {
	_, err := ParseCPUSet(v.(string))
	return err
}

// checkBound wants a bound that lets something through: 0 is how the engine says
// that there is none.
func checkBound(v any) error {
	if v.(int64) == 0 {
		return fmt.Errorf("0 would let nothing through")
	}
	return nil
}

func checkPids(v any) error {
	if v.(int64) == 0 {
		return fmt.Errorf("0 leaves no room for the guest's first process")
	}
	return nil
}

// rlimitNames are the limits of getrlimit(2).
var rlimitNames = []string{"as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio", "rttime", "sigpending", "stack"}

var rlimits = &Type{Name: "table of rlimits", Want: "a table of rlimits, such as { nofile = 1024 }", Form: ByName, Names: rlimitNames, Conv: convRlimits}

func convRlimits(d *Decoder, at Place, v lua.LValue) (any, error) {
	t, ok := v.(*lua.LTable)
	if !ok {
		return nil, want("a table of rlimits, such as { nofile = 1024 }", v)
	}
	out := map[string]engine.Rlimit{}
	unknown := func(here Place, k lua.LValue) {
		d.Failf(here, DidYouMean(k.String(), rlimitNames), "unknown rlimit %q", k.String())
	}
	known := func(name string) bool { return slices.Contains(rlimitNames, name) }
	d.eachNamed(t, at, known, unknown, func(here Place, name string, e lua.LValue) {
		if sub, isTable := e.(*lua.LTable); isTable {
			vals := d.Table(RlimitSchema, here, sub)
			r := engine.Rlimit{Soft: Get[int64](vals, "soft"), Hard: Get[int64](vals, "soft")}
			if hard := Opt[int64](vals, "hard"); hard != nil {
				r.Hard = *hard
			}
			if err := r.Check(); err != nil {
				d.Failf(here, "", "%v", err)
			}
			out[name] = r
			return
		}
		if n, ok := d.conv(Size, here, e); ok {
			out[name] = engine.Rlimit{Soft: n.(int64), Hard: n.(int64)}
		}
	})
	return out, nil
}

// Limits makes the engine's limits of decoded values.
func Limits(v Values) engine.Limits {
	l := engine.Limits{
		Limits: cgroup.Limits{
			Memory: Opt[int64](v, "memory"), MemoryHigh: Opt[int64](v, "memory_high"), Swap: Opt[int64](v, "swap"),
			CPU: Opt[float64](v, "cpu"), CPUBurst: Opt[time.Duration](v, "cpu_burst"), CPUWeight: optInt(v, "cpu_weight"),
			CPUSet: Opt[string](v, "cpuset"), Pids: Opt[int64](v, "pids"), IOWeight: optInt(v, "io_weight"),
			OOMGroup: Opt[bool](v, "oom_group"),
		},
		Rlimits: Get[map[string]engine.Rlimit](v, "rlimits"),
		Sockets: Opt[int64](v, "sockets"), Ports: Opt[int64](v, "ports"),
		Nice: optInt(v, "nice"),
	}
	for _, e := range Get[[]Values](v, "io") {
		l.IO = append(l.IO, cgroup.IOLimit{
			Device: Get[string](e, "device"), ReadBPS: Get[int64](e, "read_bps"), WriteBPS: Get[int64](e, "write_bps"),
			ReadIOPS: Get[int64](e, "read_iops"), WriteIOPS: Get[int64](e, "write_iops"),
		})
	}
	if s, ok := v["sched"].(Values); ok {
		l.Sched = &engine.Sched{Policy: Get[string](s, "policy"), Priority: int(Get[int64](s, "priority"))}
	}
	return l
}

func optInt(v Values, key string) *int {
	if n := Opt[int64](v, key); n != nil {
		i := int(*n)
		return &i
	}
	return nil
}

// checkSignal accepts names such as TERM, SIGTERM and RTMIN+4, and numbers.
func checkSignal(v any) error {
	s, ok := v.(string)
	if !ok {
		return nil
	}
	name := strings.TrimPrefix(strings.ToUpper(s), "SIG")
	if rtRE().MatchString(name) || numRE().MatchString(name) {
		return nil
	}
	for _, n := range signals {
		if n == name {
			return nil
		}
	}
	return &Error{Msg: fmt.Sprintf("unknown signal %q", s), Hint: DidYouMean(name, signals)}
}

var (
	rtRE    = LazyRE(`^RTM(IN(\+\d{1,2})?|AX(-\d{1,2})?)$`)
	numRE   = LazyRE(`^([1-9]|[1-5]\d|6[0-4])$`)
	signals = strings.Fields("HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS")
)
