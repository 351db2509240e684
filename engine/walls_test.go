package engine

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"vsl/engine/internal/sys"
	"vsl/engine/rootfs"
	"vsl/engine/spawn"
	"vsl/tests/fixture"
)

// The page on walls has the tables that the code goes by.
func TestWallsPage(t *testing.T) {
	fixture.HostTierOnly(t) // the page is not in the machine
	const path = "../docs/guide/walls.md"
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	for section, rows := range map[string][]string{"Masks": maskRows(), "Not masked": unmaskedRows(),
		"System calls": refusedRows(), "Allowed all the same": permittedRows(), "Capabilities": capRows()} {
		page, err = withTable(page, section, rows)
		if err != nil {
			t.Fatal(err)
		}
	}
	if *update {
		if err := os.WriteFile(path, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if page != string(data) {
		t.Errorf("%s is not what the code does: go test ./engine -run TestWallsPage -update", path)
	}
}

// withTable replaces the rows of the first table of a section.
func withTable(page, section string, rows []string) (string, error) {
	before, rest, ok := strings.Cut(page, "\n## "+section+"\n")
	head, rest, ok2 := strings.Cut(rest, "|\n|---")
	line, rest, ok3 := strings.Cut(rest, "\n")
	if !ok || !ok2 || !ok3 {
		return "", fmt.Errorf("no section %s with a table", section)
	}
	for strings.HasPrefix(rest, "|") {
		_, rest, _ = strings.Cut(rest, "\n")
	}
	return before + "\n## " + section + "\n" + head + "|\n|---" + line + "\n" + strings.Join(rows, "") + rest, nil
}

func row(cells ...string) string { return "| " + strings.Join(cells, " | ") + " |\n" }

func maskRows() (out []string) {
	for _, m := range rootfs.Masks {
		out = append(out, row("`"+m.Path+"`", m.As.String(), m.Why, m.Peers))
	}
	return out
}

func unmaskedRows() (out []string) {
	for _, u := range rootfs.Unmasked {
		why := u.Why
		if u.Refused {
			why = "refused by the kernel: " + why
		}
		out = append(out, row("`"+u.Path+"`", why, u.Peers))
	}
	return out
}

func refusedRows() (out []string) {
	for _, r := range spawn.Refused {
		out = append(out, row(strings.Join(r.Names, " "), sys.ErrnoName(r.Errno), r.Why, r.Peers))
	}
	return out
}

func permittedRows() (out []string) {
	for _, p := range spawn.Permitted {
		out = append(out, row(p.Names, p.Why, p.Peers))
	}
	return out
}

func capRows() (out []string) {
	for _, c := range spawn.Dropped {
		out = append(out, row(spawn.CapName(int(c.Cap)), c.Why))
	}
	return out
}
