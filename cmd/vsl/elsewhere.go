package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// elsewhere are verbs of other tools with vsl's own for the same, or with a
// sentence where it has none.
var elsewhere = []struct{ words, verb, says string }{
	{words: "start launch boot apply deploy converge", verb: "up"},
	{words: "run", says: "vsl up RECIPE brings guests up; vsl exec GUEST COMMAND runs something in one"},
	{words: "create add define clone", says: "guests are declared in a recipe: vsl init begins one, vsl up brings up what it declares"},
	{words: "stop halt shutdown poweroff", verb: "down"},
	{words: "reboot reload", verb: "restart"},
	{words: "destroy delete remove del purge", verb: "rm"},
	{words: "list ps vps", verb: "ls"},
	{words: "info inspect show stat stats top state", verb: "status"},
	{words: "log journal tail", verb: "logs"},
	{words: "shell ssh attach console login sh bash", verb: "enter"},
	{words: "suexec vexec", verb: "exec"},
	{words: "cp copy push pull scp", says: "a flow copies files: provision = function(g) g:copy_in(\"site\", \"/srv\") end; by hand, vsl exec web tar"},
	{words: "suspend pause hold", verb: "freeze"},
	{words: "resume unpause unfreeze unsuspend", verb: "thaw"},
	{words: "signal", verb: "kill"},
	{words: "set update-limits ulimit", verb: "limit"},
	{words: "images image box boxes build", verb: "template"},
	{words: "diff preview dry-run", verb: "plan"},
	{words: "validate verify syntax config", verb: "check"},
	{words: "new scaffold generate", verb: "init"},
	{words: "lua", verb: "repl"},
	{words: "prune clean cleanup sweep recover", verb: "gc"},
	{words: "man docs explain", verb: "doc"},
	{words: "setup check-config checkconfig", verb: "doctor"},
	{words: "snapshot backup export", says: "there are no snapshots of guests; vsl freeze and thaw hold one still while its files are copied"},
}

// calledElsewhere tells what vsl has for a verb of another tool; "" is not known.
func calledElsewhere(cmd *cobra.Command, word string) string {
	word = strings.ToLower(word)
	for _, e := range elsewhere {
		if !slices.Contains(strings.Fields(e.words), word) {
			continue
		}
		if e.verb == "" {
			if cmd.HasParent() {
				return ""
			}
			return e.says
		}
		for _, c := range cmd.Commands() {
			if c.Name() == e.verb && !c.Hidden {
				return c.CommandPath() + " does that: " + c.Short
			}
		}
	}
	return ""
}
