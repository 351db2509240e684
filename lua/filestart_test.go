package lua

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// What only a file may begin with is no mistake, in a recipe and in its modules,
// and lines and columns are counted as ever.
func TestAFileMayBeginAsFilesDo(t *testing.T) {
	const bang, bom = "#!/usr/bin/env -S vsl up\n", "\ufeff"
	for _, start := range []string{"", bom, bang, bom + bang, "#!\r\n", bom + "\n"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "mod.lua"), []byte(start+`return { n = 2 }`), 0o644); err != nil {
			t.Fatal(err)
		}
		r, _, err := load(t, start+`guest("g" .. require("mod").n) { command = { "true" } }`, Options{Dir: dir})
		if err != nil || len(r.Guests) != 1 || r.Guests[0].Spec.Name != "g2" {
			t.Errorf("%q: %v", start, err)
		}
	}
	_, _, err := load(t, bang+"guest 'g' { comand = {} }", Options{})
	var m *Mistake
	if !errors.As(err, &m) || m.Pos.Line != 2 {
		t.Errorf("a mistake in line 2 is told as %v", err)
	}
	if _, _, err := load(t, "\n"+bang, Options{}); err == nil {
		t.Error("#! in the second line is taken")
	}
}
