package guest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vsl/tests/fixture"
)

// doctor and up agree on a state folder and a host: what doctor calls ok comes up,
// and what does not come up it says.
func TestDoctorTriesWhatUpDoes(t *testing.T) {
	fixture.HostTierOnly(t)
	for _, tc := range []struct{ name, mounts, words string }{
		{"nothing special", "true", ""},
		{"a state folder on overlay", `mkdir l u w && mount -t overlay o -o lowerdir=l,upperdir=u,workdir=w "$0/m"`, ""},
		{"the host's /usr on overlay", `mkdir u w && mount -t overlay o -o lowerdir=/usr,upperdir=u,workdir=w /usr`, "/usr"},
		{"a file system that is read only", `mount -o remount,ro,bind "$0/m"`, "read-only"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			top := t.TempDir()
			if err := os.MkdirAll(filepath.Join(top, "m"), 0o755); err != nil {
				t.Fatal(err)
			}
			script := `set -e
mount -t tmpfs t "$0"; mkdir "$0/m"; mount -t tmpfs t "$0/m"; cp "$1" "$0/vsl"; cd "$0"
` + tc.mounts + `
export VSL_ROOT="$0/m/r"
"$0/vsl" doctor | grep -A1 'a guest'
if "$0/vsl" up hello; then echo UP; else echo NOT UP; fi
"$0/vsl" rm -ff --all || true
ls -A "$0/m/r" | grep probe || echo CLEAN`
			out, err := exec.Command("unshare", "-m", "sh", "-c", script, top, bin).CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			text := string(out)
			if !strings.Contains(text, "CLEAN") {
				t.Errorf("doctor left a folder:\n%s", text)
			}
			ok := strings.HasPrefix(text, "ok  a guest")
			if ok != (tc.words == "") || ok == strings.Contains(text, "NOT UP") || !strings.Contains(text, tc.words) {
				t.Errorf("doctor and up, wanted to say %q:\n%s", tc.words, text)
			}
		})
	}
}

// A doctor that is killed in the middle of its trial leaves what gc finishes.
func TestKilledDoctorThenGC(t *testing.T) {
	fixture.HostTierOnly(t)
	r := newRoot(t)
	res := r.vsl("doctor")
	if res.code > 1 { // 1 where something is missing, as mmdebstrap is in the emulated machine
		t.Fatalf("doctor: exit %d\n%s%s", res.code, res.out, res.err)
	}
	whole := res.took
	for i := range 6 {
		r.killed(span(whole, i, 6), "doctor")
		r.must("gc")
		left, err := filepath.Glob(filepath.Join(r.dir, ".*"))
		if err != nil || len(left) > 0 {
			t.Fatalf("left in round %d: %v, %v", i, left, err)
		}
	}
	eventually(t, slow(5*time.Second), "no guest of a trial runs", func() bool {
		return exec.Command("pgrep", "-f", "^vsl-reaper .* run sleep 60$").Run() != nil
	})
}
