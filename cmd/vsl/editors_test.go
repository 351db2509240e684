package main

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
)

// What users are to copy is JSON, and the guide says the same as the help.
func TestEditorsPage(t *testing.T) {
	guide, err := os.ReadFile("../../docs/guide/debug.md")
	if err != nil {
		t.Fatal(err)
	}
	help := regexp.MustCompile(`(?ms)^  \{$.*?^  \}$`).FindAllString(editorsText, -1)
	pages := regexp.MustCompile("(?ms)^```text\n(.*?)^```$").FindAllStringSubmatch(string(guide), -1)
	found := 0
	for _, block := range pages {
		text := strings.TrimSpace(block[1])
		if !strings.Contains(strings.ReplaceAll(editorsText, `"count"`, `"size"`), indent(text)) {
			t.Errorf("vsl help editors has no\n%s", text)
		}
		if strings.HasPrefix(text, "{") {
			found++
			if !json.Valid([]byte(text)) {
				t.Errorf("no JSON:\n%s", text)
			}
		}
	}
	if found != 2 || len(help) != 2 || len(pages) != 4 {
		t.Errorf("%d blocks of JSON in the guide, %d in the help, want 2 each; %d configurations", found, len(help), len(pages))
	}
	for _, text := range help {
		if !json.Valid([]byte(text)) {
			t.Errorf("no JSON:\n%s", text)
		}
	}
}

func indent(text string) string { return "  " + strings.ReplaceAll(text, "\n", "\n  ") }

// What the page on editors tells them is what vsl help editors does.
func TestServerSettingsInThePage(t *testing.T) {
	page, err := os.ReadFile("../../docs/guide/editor.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(page), "```text\n")[1:]
	if len(blocks) != 6 {
		t.Fatalf("the page has %d settings", len(blocks))
	}
	for _, b := range blocks {
		text, _, _ := strings.Cut(b, "```")
		if !strings.Contains(serverText, strings.ReplaceAll(indent(strings.TrimSpace(text)), "\n  \n", "\n\n")) {
			t.Errorf("vsl help editors has no\n%s", text)
		}
		if strings.HasPrefix(text, "{") && !json.Valid([]byte(text)) {
			t.Errorf("no JSON:\n%s", text)
		}
	}
}
