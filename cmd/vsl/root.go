package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vsl/engine"
)

// The groups that vsl --help lists verbs under.
const (
	groupRun   = "run"
	groupSee   = "see"
	groupIn    = "in"
	groupSteer = "steer"
	groupMake  = "make"
	groupHost  = "host"
)

func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "vsl",
		Short: "virtual private servers as plain processes, scripted in Lua",
		Long: "vsl runs guests: ordinary processes of this host in a security context of their own,\n" +
			"with their own files, limits and addresses, on the host's kernel.",
		Example: "  vsl up hello              bring up the guest of an embedded recipe\n" +
			"  vsl exec hello id         run a command in it\n" +
			"  vsl ls                    see what runs\n" +
			"  vsl down hello            bring it down",
		Version:           buildVersion(),
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		PersistentPreRun: func(*cobra.Command, []string) {
			a.ui.quiet = a.quiet
		},
	}
	root.SetVersionTemplate("vsl {{.Version}}\n")
	f := root.PersistentFlags()
	f.StringVar(&a.root, "root", "", "folder that holds all state (default /var/lib/vsl, or $VSL_ROOT)")
	f.BoolVarP(&a.quiet, "quiet", "q", false, "print nothing but errors and what was asked for")
	f.CountVarP(&a.verbose, "verbose", "v", "tell each step on standard error; plan lists with -vv system calls, too")
	root.SetFlagErrorFunc(flagError)
	root.SetHelpFunc(a.help)
	root.SetUsageFunc(func(c *cobra.Command) error { a.help(c, nil); return nil })
	for _, g := range [][2]string{{groupRun, "Guests"}, {groupSee, "Looking"}, {groupIn, "Inside a guest"},
		{groupSteer, "Steering what runs"}, {groupMake, "Recipes and templates"}, {groupHost, "The host"}} {
		root.AddGroup(&cobra.Group{ID: g[0], Title: g[1]})
	}
	add := func(group string, cmds ...*cobra.Command) {
		for _, c := range cmds {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add(groupRun, a.upCommand(), a.downCommand(), a.restartCommand(), a.rmCommand())
	add(groupSee, a.lsCommand(), a.statusCommand(), a.auditCommand(), a.logsCommand())
	add(groupIn, a.execCommand(), a.enterCommand())
	add(groupSteer, a.limitCommand(), a.killCommand(), a.freezeCommand(), a.thawCommand())
	add(groupMake, a.initCommand(), a.planCommand(), a.checkCommand(), a.lintCommand(), a.testCommand(), a.docCommand(), a.recipesCommand(), a.templateCommand(), a.replCommand(), a.debugCommand(), a.dapCommand(), a.lspCommand())
	add(groupHost, a.doctorCommand(), a.gcCommand(), a.versionCommand(), a.completionCommand())
	root.AddCommand(topics()...)
	root.SetHelpCommand(a.helpCommand(root))
	return root
}

// unknownVerb catches a misspelt verb before anything else is looked at.
func unknownVerb(root *cobra.Command, args []string) error {
	cmd, rest, err := root.Find(args)
	if err != nil || cmd == root {
		verb := skipGlobal(rest)
		if len(verb) == 0 || strings.HasPrefix(verb[0], "__complete") {
			return nil
		}
		return misspelt(root, "verb", verb[0])
	}
	if cmd.HasSubCommands() && !cmd.Runnable() && len(skipGlobal(rest)) > 0 {
		return misspelt(cmd, cmd.Name()+" verb", skipGlobal(rest)[0])
	}
	return nil
}

// skipGlobal gives the first positional argument, if there is one.
func skipGlobal(args []string) []string {
	for i := 0; i < len(args); i++ {
		switch {
		case args[i] == "--root":
			i++
		case args[i] == "--":
			return nil
		case args[i] == "help" || strings.HasPrefix(args[i], "-"):
			if args[i] == "help" {
				return nil
			}
		default:
			return args[i : i+1]
		}
	}
	return nil
}

func misspelt(cmd *cobra.Command, what, got string) error {
	hint := calledElsewhere(cmd, got)
	if near := engine.Misspelt(got, verbs(cmd)); hint == "" && near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	if hint == "" {
		hint = cmd.CommandPath() + " --help lists them"
	}
	return &usageError{msg: fmt.Sprintf("unknown %s %q", what, got), hint: hint}
}

func verbs(cmd *cobra.Command) []string {
	var names []string
	for _, c := range cmd.Commands() {
		if !c.Hidden {
			names = append(names, c.Name())
		}
	}
	return names
}

// lowersSafety are flags that nobody is talked into by a misspelling.
var lowersSafety = []string{"allow-host", "force"}

// flagError words a mistake in flags.
func flagError(cmd *cobra.Command, err error) error {
	u := &usageError{msg: err.Error(), hint: cmd.CommandPath() + " --help lists what there is"}
	var bad *pflag.InvalidValueError
	if errors.As(err, &bad) {
		u.msg = fmt.Sprintf("--%s: %q is not of the kind %s", bad.GetFlag().Name, bad.GetValue(), bad.GetFlag().Value.Type())
	}
	var missing *pflag.NotExistError
	if errors.As(err, &missing) && len(missing.GetSpecifiedName()) > 1 {
		var known []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if !slices.Contains(lowersSafety, f.Name) {
				known = append(known, f.Name)
			}
		})
		if near := engine.Misspelt(missing.GetSpecifiedName(), known); near != "" {
			u.hint = fmt.Sprintf("did you mean --%s?", near)
		}
	}
	return u
}

// atLeast wants n positional arguments or more.
func atLeast(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < n {
			return &usageError{msg: cmd.CommandPath() + " needs " + what, hint: "usage: " + cmd.UseLine()}
		}
		return nil
	}
}

// exactly wants n positional arguments.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := atLeast(n, what)(cmd, args); err != nil {
			return err
		}
		return atMost(n)(cmd, args)
	}
}

// atMost wants no more than n positional arguments.
func atMost(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > n {
			return &usageError{msg: fmt.Sprintf("%s: too many arguments: %s", cmd.CommandPath(), strings.Join(args[n:], " ")),
				hint: "usage: " + cmd.UseLine()}
		}
		return nil
	}
}
