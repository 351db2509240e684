package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"vsl/engine"
)

func TestNameRanges(t *testing.T) {
	for _, c := range []struct{ names, want string }{
		{"", ""},
		{"db", "db"},
		{"web1 web2", "web1, web2"},
		{"web1 web2 web3", "web1…web3"},
		{"db web8 web9 web10 web11 web13", "db, web8…web11, web13"},
		{"007 008 009", "007, 008, 009"},
		{"a b c d e f g h i j", "a, b, c, d, e, f, g, h, i, j"},
		{"a b c d e f g h i j k", "a, b, c, d, e, f, g, h, i, …"},
	} {
		if got := nameRanges(strings.Fields(c.names)); got != c.want {
			t.Errorf("%s: %q, want %q", c.names, got, c.want)
		}
	}
}

// However many guests fail, the report is one screen, and the exit code the same.
func TestInBrief(t *testing.T) {
	var errs []error
	for i := range 100 {
		errs = append(errs, &engine.GuestError{Guest: fmt.Sprintf("web%d", i), Phase: "wait", Err: engine.ErrDependency})
		errs = append(errs, &engine.GuestError{Guest: fmt.Sprintf("db%d", i), Phase: "boot", Err: errors.New("no")})
	}
	all := errors.Join(errs...)
	brief := inBrief(all)
	told := flatten(brief)
	if len(told) != manyErrors+2 || exitCode(brief) != exitCode(all) {
		t.Fatalf("%d errors, exit code %d of %d:\n%v", len(told), exitCode(brief), exitCode(all), brief)
	}
	for _, want := range []string{"100 guests not started, because what they need failed: web0…web99", "92 more errors"} {
		if !strings.Contains(brief.Error(), want) {
			t.Errorf("no %q in:\n%v", want, brief)
		}
	}
	if few := errors.Join(errs[:3]...); inBrief(few) != few {
		t.Error("a few errors are told as they are")
	}
}
