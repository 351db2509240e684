package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"vsl/lua/bind"
	"vsl/lua/meta"
)

func (a *app) initCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "init FOLDER",
		Short: "begin a recipe: a folder with all it takes",
		Long: "Makes a folder with a recipe that works as it is, its test, and what editors need: definitions for the\n" +
			"Lua language server, and configurations of luacheck and StyLua. The guest has the folder's name.\n" +
			"Nothing that exists is changed. There is no vsl fmt: StyLua formats Lua and keeps comments.",
		Example: "  vsl init blog\n  vsl init ./sites/shop",
		Args:    exactly(1, "a folder"),
		RunE:    func(_ *cobra.Command, args []string) error { return a.runInit(args[0]) },
	}
}

// initFiles are what vsl init writes. NAME stands for the guest's name.
var initFiles = []struct{ name, text string }{
	{"recipe.lua", `--- NAME: one line on what it is.
--
--   vsl up FOLDER
--   vsl exec NAME cat /srv/index.html
--   vsl down NAME

local greeting = param.string("greeting", { default = "hello", doc = "what the page says" })

guest "NAME" {
  -- The host's own /usr, read-only: nothing is downloaded. For a system of its own:
  --   template = template "NAME" { from = debian { suite = "bookworm", packages = { "systemd-sysv", "nginx-light" } } },
  template = host(),
  command = { "sleep", "infinity" },
  limit = { memory = "128M", pids = 128 },
  provision = function(g)
    g:write("/srv/index.html", greeting .. "\n")
  end,
}
`},
	{"recipe_test.lua", `describe("NAME", function()
  it("writes the page", function()
    local r = recipe { params = { greeting = "good day" } }
    r:up()
    expect(r.guests["NAME"]:read "/srv/index.html"):equals "good day\n"
    r:down()
    expect(r.guests["NAME"].state):equals "stopped"
  end)
end)
`},
	{".luarc.json", `{
  "$schema": "https://raw.githubusercontent.com/LuaLS/vscode-lua/master/setting/schema.json",
  "runtime.version": "Lua 5.1",
  "workspace.library": [".vsl"],
  "workspace.checkThirdParty": false
}
`},
	{"stylua.toml", `syntax = "Lua51"
indent_type = "Spaces"
indent_width = 2
column_width = 120
call_parentheses = "Input"
`},
}

func (a *app) runInit(dir string) error {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	name := filepath.Base(abs)
	if err := bind.CheckName(name); err != nil {
		return &usageError{msg: err.Error(), hint: "the folder's name becomes the guest's"}
	}
	texts := [][2]string{{".luacheckrc", meta.Luacheck()}, {".vsl/vsl.d.lua", meta.Stubs()}}
	for _, f := range initFiles {
		text := strings.ReplaceAll(strings.ReplaceAll(f.text, "NAME", name), "FOLDER", shown(dir))
		texts = append(texts, [2]string{f.name, text})
	}
	if path := filepath.Join(dir, "recipe.lua"); there(path) {
		return &usageError{msg: path + " is there already", hint: fmt.Sprintf("vsl check %s reads it; vsl init begins a recipe in a folder without one", shown(dir))}
	}
	var kept []string
	texts = slices.DeleteFunc(texts, func(t [2]string) bool {
		if there(filepath.Join(dir, t[0])) {
			kept = append(kept, t[0])
			return true
		}
		return false
	})
	if err := os.MkdirAll(filepath.Join(dir, ".vsl"), 0o755); err != nil {
		return err
	}
	for _, t := range texts {
		if err := writeNew(filepath.Join(dir, t[0]), t[1]); err != nil {
			return err
		}
	}
	a.ui.printf("%s holds a recipe that works. What comes next:\n  vsl plan %s     what it would do\n  vsl test %s     its test, without root\n  vsl up %s       bring it up (root)\n",
		dir, shown(dir), shown(dir), shown(dir))
	if len(kept) > 0 {
		a.ui.note("left as they were: %s", strings.Join(kept, ", "))
	}
	return nil
}

// there says whether anything has a name, be it a link to nothing.
func there(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// writeNew writes a file that must not be there.
func writeNew(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// shown is a folder as the verbs take it: a plain name could be an embedded recipe's.
func shown(dir string) string {
	if filepath.IsAbs(dir) || strings.HasPrefix(dir, ".") {
		return dir
	}
	return "./" + dir
}
