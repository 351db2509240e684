package bind

import (
	"slices"
	"strings"
	"testing"
)

// TestForeign holds the table to the schemas: a word that vsl has in a table is no
// foreign one there, and each table is one that there is.
func TestForeign(t *testing.T) {
	schemas := map[string]*Schema{}
	for _, s := range Schemas() {
		schemas[s.Name] = s
	}
	for _, f := range foreign {
		for _, table := range strings.Fields(f.in) {
			s := schemas[table]
			if s == nil {
				t.Errorf("%q: there is no table %q", f.words, table)
				continue
			}
			for _, w := range strings.Fields(f.words) {
				known := slices.Contains(s.KeyNames(), w)
				if got := Foreign(table, w); !known && got != f.says {
					t.Errorf("%s.%s is explained twice: %q and %q", table, w, got, f.says)
				}
				if known && !slices.Contains(rlimitNames, w) {
					t.Errorf("%s.%s is a key of vsl", table, w)
				}
			}
		}
	}
	if got := Foreign("limit", "image"); got != "" {
		t.Errorf("limit.image: %q", got)
	}
	if Foreign("", "Volumes") == "" {
		t.Error("a word from anywhere is not found")
	}
}
