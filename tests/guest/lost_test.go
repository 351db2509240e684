package guest

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"

	"vsl/tests/fixture"
)

// Output that cannot be written is a failure, of whatever verb.
func TestLostOutputIsAFailure(t *testing.T) {
	fixture.HostTierOnly(t)
	r := newRoot(t)
	r.simple("")
	r.sh("g", "echo line; echo x > /file")
	logging := r.recipe(`guest "l" { template = box, command = { "sh", "-c", "echo line; sleep infinity" } }`)
	r.must("up", logging)
	recipe := r.recipe(`guest "h" { template = box, command = { "sleep", "infinity" } }`)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	for _, c := range []struct {
		line string
		want int
	}{
		{"exec g echo x", 125}, {"exec g sh -c 'echo x; exit 3'", 125}, {"exec g cat /file", 125},
		{"exec g cat /dev/zero", 125},
		{"exec g true", 0}, {"exec g sh -c 'exit 3'", 3}, {"exec g sh -c 'echo x >&2'", 0},
		{"ls", 1}, {"ls --json", 1}, {"status g", 1}, {"status --json g", 1}, {"logs l", 1}, {"logs -f l", 1},
		{"limit g", 1}, {"limit --json g", 1}, {"audit g", 1},
		{"check " + recipe, 1}, {"plan " + recipe, 1}, {"plan --json " + recipe, 1}, {"up " + recipe, 1},
		{"restart h", 1}, {"down h", 1}, {"up --json " + recipe, 1}, {"rm -f h", 1},
		{"recipes", 1}, {"recipes show hello", 1}, {"template ls", 1}, {"doc guest", 1}, {"doctor", 1}, {"gc", 0},
		{"version", 1}, {"--version", 1}, {"help", 1}, {"--help", 1}, {"help flows", 1}, {"exec --help", 1},
		{"init fresh", 1}, {"test fresh", 1}, {"lint fresh", 0}, {"doc", 1},
		{"completion bash", 1}, {"completion zsh", 1}, {"completion fish", 1}, {"__complete exec ''", 1},
		{"freeze g", 0}, {"thaw g", 0}, {"kill -s CONT g", 0},
	} {
		t.Run(c.line, func(t *testing.T) {
			cmd := exec.Command("sh", "-c", `"$0" `+c.line, bin)
			cmd.Env, cmd.Dir = append(os.Environ(), "VSL_ROOT="+r.dir), r.src
			var errOut bytes.Buffer
			cmd.Stdout, cmd.Stderr = full, &errOut
			cmd.Run()
			expect(t, "exit code", cmd.ProcessState.ExitCode(), c.want)
			if told := strings.Contains(errOut.String(), "no space left on device"); told != (c.want == 1 || c.want == 125) {
				t.Errorf("it says:\n%s", errOut.String())
			}
		})
	}
}
