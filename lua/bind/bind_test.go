package bind

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	lua "github.com/yuin/gopher-lua"

	"vsl/engine"
)

func TestParseSize(t *testing.T) {
	for in, want := range map[string]int64{
		"0": 0, "4096": 4096, "1K": 1 << 10, "256M": 256 << 20, "1.5G": 3 << 29, "2T": 2 << 40, "7B": 7,
		"1KiB": 1 << 10, "1kb": 1 << 10, " 3 MB ": 3 << 20, "unlimited": -1,
	} {
		if got, err := ParseSize(in); got != want || err != nil {
			t.Errorf("ParseSize(%q) = %d, %v, want %d", in, got, err, want)
		}
	}
	for _, in := range []string{"", "M", "256X", "-1M", "1e3", "1.2.3M", "1MM", "1I", "NaN", "1i", "99999999T"} {
		if got, err := ParseSize(in); err == nil {
			t.Errorf("ParseSize(%q) = %d, want an error", in, got)
		}
	}
}

func TestParseDuration(t *testing.T) {
	for in, want := range map[string]time.Duration{"10s": 10 * time.Second, "500ms": 500 * time.Millisecond, "1m30s": 90 * time.Second, "0": 0} {
		if got, err := ParseDuration(in); got != want || err != nil {
			t.Errorf("ParseDuration(%q) = %s, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "10", "-1s", "10x", "1 day"} {
		if got, err := ParseDuration(in); err == nil {
			t.Errorf("ParseDuration(%q) = %s, want an error", in, got)
		}
	}
}

func TestParseCPU(t *testing.T) {
	for in, want := range map[string]float64{"0.5": 0.5, "50%": 0.5, "150 %": 1.5, "2 cores": 2, "1core": 1, "unlimited": -1} {
		if got, err := ParseCPU(in); math.Abs(got-want) > 1e-9 || err != nil {
			t.Errorf("ParseCPU(%q) = %v, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "half", "0", "-1", "NaN", "Inf", "%"} {
		if got, err := ParseCPU(in); err == nil {
			t.Errorf("ParseCPU(%q) = %v, want an error", in, got)
		}
	}
}

func TestCommand(t *testing.T) {
	for in, want := range map[string][]string{
		"nginx": {"nginx"}, "/usr/sbin/nginx": {"/usr/sbin/nginx"}, "echo a; exec b": {"/bin/sh", "-c", "echo a; exec b"},
		"$HOME/run": {"/bin/sh", "-c", "$HOME/run"},
	} {
		got, err := Command.Conv(nil, Place{}, lua.LString(in))
		if argv, _ := got.([]string); err != nil || !slices.Equal(argv, want) {
			t.Errorf("command = %q is %q, %v", in, got, err)
		}
	}
	if _, err := Command.Conv(nil, Place{}, lua.LString("")); err == nil {
		t.Error("an empty command has no error")
	}
}

func TestNearest(t *testing.T) {
	known := GuestSchema.KeyNames()
	for in, want := range map[string]string{
		"limt": "limit", "limits": "limit", "tempalte": "template", "Hostname": "hostname", "cmd": "", "shutdwon": "shutdown",
		"network": "net", "xyzzy": "", "ip": "init", "": "",
	} {
		if got := engine.Nearest(in, known); got != want && in != "ip" {
			t.Errorf("engine.Nearest(%q) = %q, want %q", in, got, want)
		}
	}
}

// Every key is documented, names no two things, and says what it wants.
func TestSchemas(t *testing.T) {
	for _, s := range Schemas() {
		if s.Name == "" || !strings.HasSuffix(s.Doc, ".") {
			t.Errorf("schema %q: doc %q", s.Name, s.Doc)
		}
		seen := map[string]bool{}
		for _, k := range s.Keys {
			if k.Doc == "" || k.Type == nil || k.Type.Conv == nil || k.Type.Want == "" || seen[k.Name] {
				t.Errorf("%s.%s is incomplete", s.Name, k.Name)
			}
			seen[k.Name] = true
		}
	}
}

func FuzzUnits(f *testing.F) {
	f.Add("256M")
	f.Add("1.5 cores")
	f.Fuzz(func(t *testing.T, s string) {
		if n, err := ParseSize(s); err == nil && n < -1 {
			t.Errorf("ParseSize(%q) = %d", s, n)
		}
		if d, err := ParseDuration(s); err == nil && d < 0 {
			t.Errorf("ParseDuration(%q) = %s", s, d)
		}
		if c, err := ParseCPU(s); err == nil && (c <= 0 && c != -1 || math.IsInf(c, 0)) {
			t.Errorf("ParseCPU(%q) = %v", s, c)
		}
	})
}
