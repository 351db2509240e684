package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// TestElsewhere holds the verbs of other tools to those that there are.
func TestElsewhere(t *testing.T) {
	root := newApp(strings.NewReader(""), &bytes.Buffer{}, &bytes.Buffer{}).rootCommand()
	for _, e := range elsewhere {
		if (e.verb == "") == (e.says == "") || e.verb != "" && !slices.Contains(verbs(root), e.verb) {
			t.Errorf("%q: vsl has no verb %q, or nothing is said", e.words, e.verb)
		}
		for _, w := range strings.Fields(e.words) {
			if calledElsewhere(root, w) == "" || slices.Contains(verbs(root), w) {
				t.Errorf("%q is a verb of vsl, or not found", w)
			}
		}
	}
}
