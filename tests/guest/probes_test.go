package guest

import (
	"testing"
	"time"

	"vsl/tests/fixture"
)

// A try that hangs is given up after its timeout, with all that it started, and the
// next one is made.
func TestProbeTriesHaveATimeout(t *testing.T) {
	fixture.HostTierOnly(t)
	r := newRoot(t)
	begin := time.Now()
	r.up(`guest "g" { template = box, command = { "sleep", "infinity" }, timeout = { ready = "90s" },
  ready = probe.exec { "sh", "-c", "echo >> /tries; [ $(wc -l < /tries) -gt 3 ] || { setsid sleep 71 & sleep 72; }", timeout = "300ms" } }`)
	if d := time.Since(begin); d > fixture.Scaled(15*time.Second) {
		t.Errorf("took %s", d)
	}
	expect(t, "tries", r.sh("g", "wc -l < /tries"), "4")
	expect(t, "what hanging tries left", string(r.exec("g", "pgrep", "-f", "sleep 7[12]").Stdout), "")
	r.fails(1, []string{"not ready in time (1s)", "a try took longer than its timeout of 100ms"}, "up", r.recipe(
		`guest "h" { template = box, command = { "sleep", "infinity" }, timeout = { ready = "1s" },
  ready = probe.exec { "sleep", "60", timeout = "100ms" } }`))
	r.fails(2, []string{"timeout"}, "check", r.recipe(`guest "h" { template = box, ready = probe.tcp { port = 1, timeout = 0 } }`))
}
