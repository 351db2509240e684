package test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	glua "github.com/yuin/gopher-lua"

	"vsl/engine"
	"vsl/engine/enginetest"
	"vsl/lua"
	"vsl/lua/bind"
	"vsl/lua/modules"
)

// recipeSchema is the table that recipe takes.
var recipeSchema = &bind.Schema{Name: "recipe", Doc: "Reads a recipe for a test.", Keys: []bind.Key{
	{Name: "file", Type: bind.String, Default: "recipe.lua", Doc: "the recipe, beside the test"},
	{Name: "source", Type: bind.String, Doc: "the recipe's text, instead of a file"},
	{Name: "params", Type: bind.Map, Doc: "values of its parameters, written as after -p"},
	{Name: "allow_host", Type: bind.Bool, Default: "false", Doc: "as --allow-host, which vsl test --real has to be given too"},
}}

// LuaType names the kind in errors.
func (*Loaded) LuaType() string { return "recipe" }

// method is one of a recipe's in a test.
type method struct {
	Word
	fn func(r *run, l *glua.LState, x *Loaded) int
}

func methods() []method {
	return []method{
		{Word{"plan", "r:plan()", "what vsl up would do on a host without guests, as text"}, (*run).plan},
		{Word{"build", `r:build("template")`, "builds a template; up does it for those it needs"}, (*run).build},
		{Word{"up", `r:up("web1")`, "brings up the guests that are named, or all"}, act(Bench.Up)},
		{Word{"down", `r:down("web1")`, "shuts down the guests that are named, or all"}, act(Bench.Down)},
		{Word{"rm", `r:rm("web1")`, "removes the guests that are named, or all"}, act(Bench.Remove)},
		{Word{"answer", `r:answer("web1", "nginx *", { code = 0, stdout = "ok\n" })`,
			"in memory, what a guest's commands give; \"*\" is any guest, and anything in a command. A function (argv, stdin) decides by itself"}, (*run).answer},
		{Word{"fail", `r:fail("boot web1*", "no such init")`, "in memory, calls that fail, by their lines in r:calls()"}, (*run).fail},
		{Word{"calls", "r:calls()", "in memory, what was done so far: a line for each call, under a heading for each phase"}, (*run).calls},
	}
}

var recipeFields = []Word{
	{"guests", "r.guests.web1", "guests by name, with the methods that flows have: r.guests.web1:read(\"/etc/motd\")"},
	{"params", "r.params.count", "values of parameters by name"},
	{"templates", "r.templates", "names of templates, in order"},
}

// Methods lists the methods and fields of a recipe in a test, for documentation.
func Methods() (out []Word) {
	for _, m := range methods() {
		out = append(out, m.Word)
	}
	return append(out, recipeFields...)
}

func (r *run) openRecipe() {
	s, all := r.a.S, methods()
	fns := map[string]*glua.LFunction{}
	var names []string
	for _, m := range all {
		names = append(names, m.Name)
		fns[m.Name] = s.Func(m.Name, func(l *glua.LState) int {
			ud, ok := l.Get(1).(*glua.LUserData)
			var x *Loaded
			if ok {
				x, ok = ud.Value.(*Loaded)
			}
			if !ok {
				s.Raisef(l, "write "+m.Use, "%s must be called on a recipe, with a colon", m.Name)
			}
			r.running(l, m.Name)
			return m.fn(r, l, x)
		})
	}
	for _, f := range recipeFields {
		names = append(names, f.Name)
	}
	r.a.NewType("recipe", func(l *glua.LState) int {
		name := l.Get(2).String()
		if fn := fns[name]; fn != nil {
			l.Push(fn)
			return 1
		}
		v := r.field(l, l.CheckUserData(1).Value.(*Loaded), name)
		if v == nil {
			s.Raisef(l, bind.DidYouMean(name, names), "a recipe has no %q", name)
		}
		l.Push(v)
		return 1
	}, func(_ *glua.LState, v any) string { return "recipe " + v.(*Loaded).Path })
	s.SetGlobal("recipe", s.Func("recipe", r.recipe))
}

func (r *run) recipe(l *glua.LState) int {
	r.running(l, "recipe")
	v := bind.Values{}
	switch arg := l.Get(1).(type) {
	case *glua.LNilType:
	case glua.LString:
		v["file"] = string(arg)
	case *glua.LTable:
		d := &bind.Decoder{Dir: r.dir}
		v = d.Table(recipeSchema, bind.Place{What: "recipe"}, arg)
		if len(d.Errs) > 0 {
			r.a.S.Raise(l, errors.Join(d.Errs...))
		}
	default:
		r.a.S.Raisef(l, `write recipe { file = "recipe.lua" }`, "recipe must be given a table or a file, not %s", bind.Describe(arg))
	}
	x, err := r.load(l, v)
	if err != nil {
		r.a.S.Raise(l, err)
	}
	r.opened = append(r.opened, x)
	l.Push(r.a.Object(l, "recipe", x))
	return 1
}

func (r *run) load(l *glua.LState, v bind.Values) (*Loaded, error) {
	x := &Loaded{AllowHost: bind.Get[bool](v, "allow_host")}
	file := bind.Get[string](v, "file")
	if file == "" {
		file = "recipe.lua"
	}
	if x.AllowHost && r.o.Real != nil && !r.o.AllowHost {
		return nil, &engine.OpError{Op: "read recipe", Target: file, Err: errors.New("its test asks for allow_host, and on the kernel a test does not grant itself files of the host"),
			Hint: "vsl test --real --allow-host allows it"}
	}
	if !filepath.IsLocal(file) {
		return nil, &engine.OpError{Op: "read recipe", Target: file, Err: errors.New("it is outside the test's folder"), Hint: "recipe { file = … } names another file beside the test"}
	}
	x.Path = filepath.Join(filepath.Dir(r.path), file)
	if source := bind.Opt[string](v, "source"); source != nil {
		x.Src = []byte(*source)
		if v["file"] == nil {
			x.Path = r.a.S.Pos(l).String() + ": source"
		}
	} else {
		text, err := modules.Read(r.dir, file)
		if err != nil {
			var mistake *bind.Error
			if !errors.As(err, &mistake) && errors.Is(err, os.ErrNotExist) {
				err = os.ErrNotExist
			}
			return nil, &engine.OpError{Op: "read recipe", Target: x.Path, Err: err, Hint: "recipe { file = … } names another file beside the test"}
		}
		x.Src = text
	}
	o := lua.Options{Engine: r.bench, Params: bind.Get[map[string]string](v, "params"), AllowHost: x.AllowHost,
		Stdout: r.o.Output, Stderr: r.o.Output, Dir: filepath.Dir(filepath.Join(r.dir, file)), UserDir: r.o.UserDir}
	if _, ok := r.bench.(*memory); ok {
		o.Sleep = enginetest.Sleep
	}
	err := r.a.S.Block(l, func(ctx context.Context) (err error) {
		if x.Recipe, err = lua.Load(ctx, x.Path, x.Src, o); err != nil {
			return err
		}
		var specs []*engine.Spec
		for _, d := range x.Guests {
			specs = append(specs, d.Spec)
		}
		return engine.Validate(specs)
	})
	return x, err
}

func (r *run) field(l *glua.LState, x *Loaded, name string) glua.LValue {
	t := l.NewTable()
	switch name {
	case "guests":
		for _, d := range x.Guests {
			g, err := r.bench.New(d.Spec)
			if err != nil {
				r.a.S.Raise(l, err)
			}
			t.RawSetString(d.Spec.Name, r.a.HandleOf(l, g))
		}
	case "params":
		for _, p := range x.Params {
			t.RawSetString(p.Name, r.a.ParamValue(l, p))
		}
	case "templates":
		for _, tm := range x.Templates {
			t.Append(glua.LString(tm.Name))
		}
	default:
		return nil
	}
	return t
}

// block runs f with the state's lock released, and raises its error.
func (r *run) block(l *glua.LState, f func(ctx context.Context) error) {
	if err := r.a.S.Block(l, f); err != nil {
		r.a.S.Raise(l, err)
	}
}

func act(do func(Bench, context.Context, *Loaded, []string) error) func(*run, *glua.LState, *Loaded) int {
	return func(r *run, l *glua.LState, x *Loaded) int {
		names := r.texts(l, 2, "recipe", "guest")
		r.block(l, func(ctx context.Context) error { return do(r.bench, ctx, x, names) })
		return 0
	}
}

func (r *run) build(l *glua.LState, x *Loaded) int {
	name := r.text(l, 2, "build", "template")
	r.block(l, func(ctx context.Context) error { return r.bench.Build(ctx, x, name) })
	return 0
}

// plan words templates and the steps of each guest.
func (r *run) plan(l *glua.LState, x *Loaded) int {
	var b strings.Builder
	for _, t := range x.Templates {
		fmt.Fprintf(&b, "template %s: %s\n", t.Name, t.From)
	}
	for _, d := range x.Guests {
		fmt.Fprintf(&b, "guest %s\n", d.Spec.Name)
		for _, s := range engine.FirstSteps(d.Spec) {
			fmt.Fprintf(&b, "  %s\n", strings.ReplaceAll(s.String(), "\n", `\n`))
		}
	}
	// Places are told from the test's folder, so that they are the same from wherever it is run.
	text := b.String()
	if dir := filepath.Dir(r.path); dir != "." {
		text = strings.ReplaceAll(text, dir+string(filepath.Separator), "")
	}
	l.Push(glua.LString(text))
	return 1
}

// answerSchema is what a command gives.
var answerSchema = &bind.Schema{Name: "answer", Doc: "Says what a command gives.", Keys: []bind.Key{
	{Name: "code", Type: bind.Int, Default: "0", Doc: "exit status"},
	{Name: "stdout", Type: bind.String, Doc: "standard output"},
	{Name: "stderr", Type: bind.String, Doc: "standard error"},
}}

// answer says what commands give. On the kernel they answer for themselves.
func (r *run) answer(l *glua.LState, _ *Loaded) int {
	m, ok := r.bench.(*memory)
	if !ok {
		return 0
	}
	a := answer{guest: r.text(l, 2, "answer", "guest"), command: glob(r.text(l, 3, "answer", "command"))}
	switch v := l.Get(4).(type) {
	case *glua.LTable:
		res, err := r.result(v)
		if err != nil {
			r.a.S.Raise(l, err)
		}
		a.give = func([]string, string) (engine.ExecResult, error) { return res, nil }
	case *glua.LFunction:
		ctx := l.Context()
		a.give = func(argv []string, stdin string) (engine.ExecResult, error) { return r.ask(ctx, v, argv, stdin) }
	default:
		r.a.S.Raisef(l, `write { code = 1, stderr = "no" }, or a function`, "answer must be given a table or a function, not %s", bind.Describe(v))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.answers = append(m.answers, a)
	return 0
}

func (r *run) result(t *glua.LTable) (engine.ExecResult, error) {
	d := &bind.Decoder{}
	v := d.Table(answerSchema, bind.Place{What: "answer"}, t)
	return engine.ExecResult{Code: int(bind.Get[int64](v, "code")), Stdout: []byte(bind.Get[string](v, "stdout")),
		Stderr: []byte(bind.Get[string](v, "stderr"))}, errors.Join(d.Errs...)
}

// ask calls the test's own function for an answer.
func (r *run) ask(ctx context.Context, fn *glua.LFunction, argv []string, stdin string) (res engine.ExecResult, err error) {
	err = r.a.S.Do(ctx, func(l *glua.LState) error {
		args := l.NewTable()
		for _, a := range argv {
			args.Append(glua.LString(a))
		}
		got, err := r.a.S.Call(l, fn, args, glua.LString(stdin))
		if err != nil || len(got) == 0 || got[0] == glua.LNil {
			return err
		}
		t, ok := got[0].(*glua.LTable)
		if !ok {
			return fmt.Errorf("answer: the function must give a table, not %s", bind.Describe(got[0]))
		}
		res, err = r.result(t)
		return err
	})
	return res, err
}

func (r *run) fail(l *glua.LState, _ *Loaded) int {
	m := r.memory(l, "fail")
	f := failure{glob(r.text(l, 2, "fail", "call")), errors.New(r.text(l, 3, "fail", "message"))}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fails = append(m.fails, f)
	return 0
}

func (r *run) calls(l *glua.LState, _ *Loaded) int {
	l.Push(glua.LString(strings.Join(r.memory(l, "calls").Calls(), "\n") + "\n"))
	return 1
}
