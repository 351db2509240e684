package bind

import (
	"fmt"
	"strings"
	"time"

	lua "github.com/yuin/gopher-lua"

	"vsl/engine"
)

// Flows are the functions that a guest's table gives: by phase, and hooks by
// "before boot", "after boot" and the like, or onFail.
type Flows map[string]*lua.LFunction

// OnFail names the hook that is told of a failure.
const OnFail = "on fail"

// HooksSchema is what surrounds the phases.
var HooksSchema = &Schema{Name: "hooks", Doc: "Functions that run before and after the phases of a guest.", Keys: []Key{
	{Name: "before_provision", Type: Func, Doc: "before the provision flow, with the guest's files there"},
	{Name: "after_provision", Type: Func, Doc: "after the provision flow"},
	{Name: "before_boot", Type: Func, Doc: "before the boot flow: nothing of the guest runs"},
	{Name: "after_boot", Type: Func, Doc: "as soon as the guest's init runs"},
	{Name: "before_ready", Type: Func, Doc: "before the guest is waited for"},
	{Name: "after_ready", Type: Func, Doc: "once the guest serves"},
	{Name: "before_run", Type: Func, Doc: "before the run flow"},
	{Name: "after_run", Type: Func, Doc: "after the run flow"},
	{Name: "before_shutdown", Type: Func, Doc: "before the shutdown flow, with the guest running"},
	{Name: "after_shutdown", Type: Func, Doc: "after the shutdown flow, before what is left is killed"},
	{Name: "before_destroy", Type: Func, Doc: "before the destroy flow"},
	{Name: "after_destroy", Type: Func, Doc: "after the destroy flow, before the guest is shut down and removed"},
	{Name: "on_fail", Type: Func, Doc: "when the guest fails to come up, before it is undone; is given the guest and the error"},
}}

// TimeoutSchema bounds the flows of each phase.
var TimeoutSchema = &Schema{Name: "timeout", Doc: "Says how long the flow of each phase may take.", Keys: timeoutKeys()}

func timeoutKeys() []Key {
	var keys []Key
	for _, phase := range engine.Phases {
		if phase != "shutdown" { // stop.timeout has it
			doc := "how long the " + phase + " flow may take"
			if phase == "ready" {
				doc += ", or its probe"
			}
			keys = append(keys, Key{Name: phase, Type: Duration, Live: true, Default: shortDuration(engine.PhaseTimes[phase]),
				Doc: doc, Check: positive})
		}
	}
	return keys
}

// shortDuration writes a duration as recipes do: "5m", not "5m0s".
func shortDuration(d time.Duration) string {
	s := d.String()
	s = strings.TrimSuffix(s, "m0s") + map[bool]string{true: "m"}[strings.HasSuffix(s, "m0s")]
	return strings.TrimSuffix(s, "h0m") + map[bool]string{true: "h"}[strings.HasSuffix(s, "h0m")]
}

func positive(v any) error {
	if d := v.(time.Duration); d <= 0 {
		return fmt.Errorf("%s is no time to do anything in", d)
	}
	return nil
}

// RetrySchema is the argument of retry.
var RetrySchema = &Schema{Name: "retry", Doc: "Calls a function until it raises no error, and gives what it gives.", Items: Func, Keys: []Key{
	{Name: "attempts", Type: Int, Default: "5", Doc: "how often it is called at most", Check: inRange(1, 1000000)},
	{Name: "delay", Type: Duration, Default: "1s", Doc: "pause after the first failure"},
	{Name: "backoff", Type: Number, Default: "2", Doc: "each pause is that many times the one before"},
	{Name: "max_delay", Type: Duration, Default: "30s", Doc: "no pause is longer"},
	{Name: "within", Type: Duration, Doc: "how long all of it may take"},
}}

// ParallelSchema is the argument of parallel.
var ParallelSchema = &Schema{Name: "parallel", Doc: "Calls functions at the same time and gives the first value of each, in their order.", Items: Func, Keys: []Key{
	{Name: "limit", Type: Int, Default: "all at once", Doc: "how many may run at the same time", Check: inRange(1, 1000000)},
	{Name: "keep_going", Type: Bool, Default: "false", Doc: "a failure does not stop the others; all failures are told at the end"},
}}

// flowKeys are the phases whose key of a guest is the flow itself.
var flowKeys = []string{"provision", "boot", "run", "shutdown", "destroy"}

// flows takes the functions out of a guest's values, and notes in s where they are.
func (d *Decoder) flows(v Values, ready *lua.LFunction, s *engine.Spec) Flows {
	f := Flows{}
	add := func(name, key string, fn *lua.LFunction) {
		if fn == nil {
			return
		}
		f[name] = fn
		if s.Custom == nil {
			s.Custom = map[string]engine.Pos{}
		}
		s.Custom[key] = d.Keys[key]
	}
	for _, phase := range flowKeys {
		add(phase, phase, Get[*lua.LFunction](v, phase))
	}
	add("ready", "ready", ready)
	hooks := Get[Values](v, "hooks")
	for _, k := range HooksSchema.Keys {
		add(strings.ReplaceAll(k.Name, "_", " "), "hooks."+k.Name, Get[*lua.LFunction](hooks, k.Name))
	}
	for _, k := range TimeoutSchema.Keys {
		if t := Opt[time.Duration](Get[Values](v, "timeout"), k.Name); t != nil {
			if s.Timeouts == nil {
				s.Timeouts = map[string]time.Duration{}
			}
			s.Timeouts[k.Name] = *t
		}
	}
	return f
}
