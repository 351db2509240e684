package engine

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"vsl/engine/rootfs"
)

// The page on walls has the tables that the code goes by.
func TestWallsPage(t *testing.T) {
	const path = "../docs/guide/walls.md"
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	for section, rows := range map[string][]string{"Masks": maskRows(), "Not masked": unmaskedRows()} {
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
