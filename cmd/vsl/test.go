package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"vsl/lua/modules"
	"vsl/lua/test"
)

type testOptions struct {
	real, update, json, strict, allowHost bool
	run                                   string
	timeout                               time.Duration
}

func (a *app) testCommand() *cobra.Command {
	var o testOptions
	cmd := &cobra.Command{
		Use:   "test [PATH…]",
		Short: "run the tests of recipes",
		Long: "Runs the tests in files *_test.lua, those given and all below the folders that are given, or below this one.\n" +
			"Guests come up in memory, which takes milliseconds and needs no root: calls are recorded, and a test says\n" +
			"what commands answer. With --real they come up on the kernel, under a state root of their own, and allow_host = true\n" +
			"of a test holds only where --allow-host is given too.\n" +
			"vsl help testing shows how tests are written.",
		Example: "  vsl test\n  vsl test ./shop -v\n  sudo vsl test --real ./shop --run 'web answers'",
		Args:    cobra.ArbitraryArgs,
		RunE:    func(cmd *cobra.Command, args []string) error { return a.runTest(cmd.Context(), args, o) },
	}
	f := cmd.Flags()
	f.BoolVar(&o.real, "real", false, "bring guests up on the kernel (root)")
	f.BoolVar(&o.allowHost, "allow-host", false, "with --real, let recipes that tests give allow_host reach files of the host outside their folder")
	f.BoolVar(&o.update, "update", false, "write golden files anew")
	f.StringVar(&o.run, "run", "", "only tests whose names match this regular expression")
	f.DurationVar(&o.timeout, "timeout", 0, "how long each test may take (default 1m, with --real 10m)")
	f.BoolVar(&o.strict, "strict", false, "a recipe without a test is a failure")
	f.BoolVar(&o.json, "json", false, "print the results as JSON")
	return cmd
}

// tested is what vsl test says for programs.
type tested struct {
	Tests    []test.Result `json:"tests"`
	Passed   int           `json:"passed"`
	Failed   int           `json:"failed"`
	Skipped  int           `json:"skipped"`
	Untested []string      `json:"untested"` // recipes without a test
	TookNS   time.Duration `json:"took_ns"`
}

func (a *app) runTest(ctx context.Context, args []string, o testOptions) error {
	files, untested, err := testFiles(args)
	if err != nil {
		return err
	}
	to, err := a.testOptions(o)
	if err != nil {
		return err
	}
	begin := time.Now()
	all := tested{Tests: []test.Result{}, Untested: untested}
	for _, file := range files {
		before := len(all.Tests)
		err := test.Run(ctx, file, to, func(r test.Result) { all.add(r); a.printTest(r, o) })
		if err != nil {
			return errors.Join(&recipeError{err}, a.lab.close())
		}
		if !o.json && a.verbose == 0 {
			a.printTestFile(file, all.Tests[before:])
		}
	}
	all.TookNS = time.Since(begin)
	if err := a.lab.close(); err != nil {
		return err
	}
	return a.endTests(&all, o)
}

func (all *tested) add(r test.Result) {
	all.Tests = append(all.Tests, r)
	switch {
	case r.Skipped != "":
		all.Skipped++
	case r.Err != nil:
		all.Failed++
	default:
		all.Passed++
	}
}

// endTests prints the sum and gives the exit code.
func (a *app) endTests(all *tested, o testOptions) error {
	if o.json {
		if err := a.ui.json(all); err != nil {
			return err
		}
	} else {
		a.ui.printf("%d passed, %d failed", all.Passed, all.Failed)
		if all.Skipped > 0 {
			a.ui.printf(", %d skipped", all.Skipped)
		}
		a.ui.printf(" in %s\n", seconds(all.TookNS))
	}
	for _, r := range all.Untested {
		a.ui.note("%s has no test: vsl init shows one", r)
	}
	switch {
	case len(all.Tests) == 0:
		return &usageError{msg: "no test was run", hint: "tests are files *" + test.Suffix + "; --run chooses among their names"}
	case all.Failed > 0 || o.strict && len(all.Untested) > 0:
		return &codeError{1}
	}
	return nil
}

// printTest tells of one test: with -v of each, else of those that failed.
func (a *app) printTest(r test.Result, o testOptions) {
	switch {
	case o.json:
	case r.Err != nil:
		a.ui.printf("FAIL  %s (%s:%d)\n", clean(r.Name), clean(r.File), r.Line)
		for _, e := range flatten(r.Err) {
			text, hint := explain(e)
			a.ui.printf("      %s\n", strings.ReplaceAll(clean(text), "\n", "\n      "))
			if hint != "" {
				a.ui.printf("      %s\n", clean(hint))
			}
		}
	case a.verbose > 0 && r.Skipped != "":
		a.ui.printf("skip  %s: %s\n", clean(r.Name), clean(r.Skipped))
	case a.verbose > 0:
		a.ui.printf("ok    %s  %s\n", clean(r.Name), r.Took.Round(100*time.Microsecond))
	}
}

func (a *app) printTestFile(file string, results []test.Result) {
	took, failed := time.Duration(0), 0
	for _, r := range results {
		took += r.Took
		if r.Err != nil {
			failed++
		}
	}
	switch {
	case failed > 0:
		a.ui.printf("FAIL  %s  %d of %s failed  %s\n", clean(file), failed, plural(len(results), "test"), took.Round(100*time.Microsecond))
	case len(results) > 0:
		a.ui.printf("ok    %s  %s  %s\n", clean(file), plural(len(results), "test"), took.Round(100*time.Microsecond))
	}
}

// testOptions makes the runner's options of the verb's.
func (a *app) testOptions(o testOptions) (test.Options, error) {
	to := test.Options{Update: o.update, Timeout: o.timeout, UserDir: modules.UserFolder(), AllowHost: o.allowHost, Output: a.ui.luaNotes()}
	if o.run != "" {
		re, err := regexp.Compile(o.run)
		if err != nil {
			return to, &usageError{msg: "--run: " + err.Error()}
		}
		to.Match = re.MatchString
	}
	if o.real {
		lab, err := a.newLab()
		if err != nil {
			return to, err
		}
		to.Real = lab.bench
		a.lab = lab
		if to.Timeout == 0 {
			to.Timeout = 10 * time.Minute
		}
	}
	return to, nil
}

// testFiles finds test files, and the recipes beside which there is none.
func testFiles(args []string) (files, untested []string, err error) {
	if len(args) == 0 {
		args = []string{"."}
	}
	for _, arg := range args {
		info, err := os.Stat(arg)
		if err != nil {
			return nil, nil, &usageError{msg: arg + ": no such file or folder"}
		}
		if info.IsDir() {
			f, u, err := testsBelow(arg)
			if err != nil {
				return nil, nil, err
			}
			files, untested = append(files, f...), append(untested, u...)
			continue
		}
		if !strings.HasSuffix(arg, test.Suffix) {
			arg = strings.TrimSuffix(arg, ".lua") + test.Suffix
			if _, err := os.Stat(arg); err != nil {
				return nil, nil, &usageError{msg: arg + ": no such test file", hint: "tests of a recipe are beside it, in recipe" + test.Suffix}
			}
		}
		files = append(files, arg)
	}
	slices.Sort(files)
	files = slices.Compact(files)
	if len(files) == 0 {
		return nil, nil, &usageError{msg: fmt.Sprintf("no test in %s", strings.Join(args, ", ")), hint: "tests are files *" + test.Suffix + "; vsl help testing shows one"}
	}
	return files, untested, nil
}

// testsBelow is testFiles for a folder. Folders whose names begin with a dot are
// left out.
func testsBelow(dir string) (files, untested []string, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != dir && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case strings.HasSuffix(path, test.Suffix):
			files = append(files, path)
		case d.Name() == "recipe.lua":
			tests, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*"+test.Suffix))
			if err != nil {
				return err
			}
			if len(tests) == 0 {
				untested = append(untested, path)
			}
		}
		return nil
	})
	return files, untested, err
}
