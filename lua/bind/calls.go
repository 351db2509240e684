package bind

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	lua "github.com/yuin/gopher-lua"

	"vsl/engine"
)

// The primitives' arguments. A call gives the guest first, then these keys.
var (
	ContextSchema = &Schema{Name: "context", Doc: "Makes a guest's context: xid, cgroup and namespaces.", Keys: []Key{
		{Name: "name", Type: String, Doc: "name of a new guest, where none is given first"},
		{Name: "template", Type: templateType, Default: "host()", Doc: "template of a new guest"},
	}}
	BindIPSchema = &Schema{Name: "bind_ip", Doc: "Puts addresses on the host and confines the guest to them.", Keys: []Key{
		{Name: "ip", Type: addresses, Doc: "the addresses"},
		{Name: "net", Type: netMode, Doc: "the kind of network"},
	}}
	CowCloneSchema = &Schema{Name: "cow_clone", Doc: "Gives the guest its copy-on-write root.", Keys: []Key{
		{Name: "template", Type: templateType, Default: "the guest's own", Doc: "what to clone"},
		{Name: "kind", Type: cloneKind, Default: "the best that the file system can do", Doc: "how to clone"},
	}}
	BootSchema = &Schema{Name: "boot", Doc: "Starts the guest's init as pid 1 of its context.", Keys: []Key{
		{Name: "init", Type: Argv, Default: "the guest's own", Doc: "argv of the init"},
		{Name: "command", Type: Command, Default: "the guest's own", Doc: "argv of a plain command"},
		{Name: "env", Type: Map, Default: "the guest's own", Doc: "environment"},
		{Name: "hostname", Type: String, Default: "the guest's own", Doc: "host name", Check: checkHostname},
		{Name: "idle", Type: Bool, Default: "false", Doc: "pid 1 only waits, as for provisioning"},
	}}
	KillSchema = &Schema{Name: "kill", Doc: "Ends a guest, or sends its processes a signal.", Keys: []Key{
		{Name: "graceful", Type: Bool, Default: "false", Doc: "first ask the init to shut down"},
		{Name: "signal", Type: String, Doc: "send this signal and nothing more", Check: checkSignal},
		{Name: "all", Type: Bool, Default: "false", Doc: "the signal goes to every process, not only to the init"},
		{Name: "timeout", Type: Duration, Default: "the guest's own", Doc: "how long the graceful part may take"},
	}}
	// ExecSchema is the argument of g:exec.
	ExecSchema = &Schema{Name: "exec", Doc: "Runs a command in the guest.", Items: String, Keys: []Key{
		{Name: "check", Type: Bool, Default: "false", Doc: "raise an error when the command fails"},
		{Name: "env", Type: Map, Doc: "environment beside the guest's"},
		{Name: "dir", Type: String, Default: "/", Doc: "working directory"},
		{Name: "user", Type: userName, Default: "root", Doc: "name or uid in the guest"},
		{Name: "stdin", Type: String, Doc: "text for its standard input"},
		{Name: "timeout", Type: Duration, Doc: "how long it may run"},
	}}
	// WriteSchema is the last argument of g:write and g:append.
	WriteSchema = &Schema{Name: "write", Doc: "Says how to write a file.", Keys: []Key{modeKey}}
	// MkdirSchema is the last argument of g:mkdir.
	MkdirSchema = &Schema{Name: "mkdir", Doc: "Says how to make a directory.", Keys: []Key{modeKey}}
	// WaitSchema is the argument of g:wait.
	WaitSchema = &Schema{Name: "wait", Doc: "Waits for the guest to end.", Keys: []Key{
		{Name: "timeout", Type: Duration, Doc: "how long to wait before raising an error"}}}
)

var modeKey = Key{Name: "mode", Type: mode, Default: `"0644" for files, "0755" for directories`, Doc: "permissions in octal"}

var mode = &Type{Name: "octal mode", Want: `octal permissions in a string, such as "0644"`, Conv: func(_ *Decoder, _ Place, v lua.LValue) (any, error) {
	s, ok := v.(lua.LString)
	if !ok {
		return nil, want(`octal permissions in a string, such as "0644"`, v)
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(string(s), "0o"), 8, 32)
	if err != nil || n > 0o7777 {
		return nil, fmt.Errorf(`%q is not octal permissions, such as "0644"`, string(s))
	}
	return FileMode(uint32(n)), nil
}}

// FileMode turns the bits of chmod(2) into Go's.
func FileMode(n uint32) fs.FileMode {
	m := fs.FileMode(n & 0o777)
	for bit, flag := range map[uint32]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if n&bit != 0 {
			m |= flag
		}
	}
	return m
}

var userName = &Type{Name: "user", Want: "a user name or number", Conv: func(_ *Decoder, _ Place, v lua.LValue) (any, error) {
	switch v := v.(type) {
	case lua.LString:
		return string(v), nil
	case lua.LNumber:
		return v.String(), nil
	}
	return nil, want("a user name or number", v)
}}

// Exec makes the engine's arguments of a decoded exec table; the second result
// is check.
func Exec(v Values) (engine.ExecArgs, bool) {
	a := engine.ExecArgs{Env: Get[map[string]string](v, "env"), Dir: Get[string](v, "dir"),
		User: Get[string](v, "user"), Timeout: Get[time.Duration](v, "timeout")}
	for _, e := range Get[[]any](v, "") {
		a.Argv = append(a.Argv, e.(string))
	}
	if s := Opt[string](v, "stdin"); s != nil {
		a.Stdin = strings.NewReader(*s)
	}
	return a, Get[bool](v, "check")
}

// Kill makes the engine's arguments of a decoded kill table.
func Kill(v Values) engine.KillArgs {
	return engine.KillArgs{Graceful: Get[bool](v, "graceful"), Signal: Get[string](v, "signal"),
		All: Get[bool](v, "all"), Timeout: Get[time.Duration](v, "timeout")}
}
