package main

import (
	"fmt"
	"strings"

	"vsl/lua/test"
)

func testingPage() string {
	var b strings.Builder
	b.WriteString(`Tests of a recipe are Lua too, in files *_test.lua beside it. vsl test finds and runs them:

  describe("web", function()
    it("serves the title", function()
      local r = recipe { params = { title = "Hello" } }
      r:answer("web", "nginx -t", { code = 0 })
      r:up()
      expect(r.guests.web:read "/var/www/html/index.html"):contains "Hello"
    end)

    it("needs an address", function()
      expect(function() recipe { params = { ip = "none" } } end):fails "is not an address"
    end)
  end)

Guests come up in memory: flows run, calls are recorded, files are kept, time spent in sleep passes at once,
and a command gives what r:answer says, or else nothing and exit status 0. With --real the same tests run on
the kernel; then answers are not used, and a test that asks for what only the engine in memory knows is
skipped from that line on. Each test begins with no guest, and leaves none.

`)
	section := func(title string, words []test.Word) {
		fmt.Fprintf(&b, "%s\n", title)
		for _, w := range words {
			fmt.Fprintf(&b, "  %s\n      %s\n", strings.ReplaceAll(w.Use, "\n", `\n`), w.Doc)
		}
		b.WriteString("\n")
	}
	section("The words of a test file, beside those of flows:", test.Words())
	section("What is expected:", test.Matchers())
	section("A recipe in a test:", test.Methods())
	b.WriteString("A golden file holds a text as it was once found right: after vsl test --update, look at the difference.\n")
	return b.String()
}
