package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// help prints the help of a verb or topic. It is a result: somebody asked.
func (a *app) help(cmd *cobra.Command, _ []string) {
	var b strings.Builder
	text := cmd.Long
	if text == "" {
		text = cmd.Short
	}
	b.WriteString(text + "\n")
	if isTopic(cmd) {
		a.ui.printf("%s", b.String())
		return
	}
	if cmd.Runnable() {
		b.WriteString("\nUsage: " + cmd.UseLine() + "\n")
	} else {
		b.WriteString("\nUsage: " + cmd.CommandPath() + " VERB …\n")
	}
	if cmd.Example != "" {
		b.WriteString("\nExample:\n" + cmd.Example + "\n")
	}
	for _, g := range cmd.Groups() {
		writeVerbs(&b, g.Title, cmd, func(c *cobra.Command) bool { return c.GroupID == g.ID })
	}
	if len(cmd.Groups()) == 0 {
		writeVerbs(&b, "Verbs", cmd, func(c *cobra.Command) bool { return !isTopic(c) })
	}
	writeVerbs(&b, "Topics of vsl help", cmd, isTopic)
	writeFlags(&b, "Flags", cmd.LocalNonPersistentFlags())
	writeFlags(&b, "Global flags", cmd.Root().PersistentFlags())
	a.ui.printf("%s", b.String())
}

// helpCommand is vsl help [VERB|TOPIC].
func (a *app) helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:     "help [VERB|TOPIC]",
		Short:   "help on a verb or topic",
		Example: "  vsl help recipe",
		ValidArgsFunction: func(_ *cobra.Command, args []string, begin string) ([]string, cobra.ShellCompDirective) {
			at, _, err := root.Find(args)
			if err != nil {
				return nil, noFiles
			}
			return matching(verbs(at), nil, begin), noFiles
		},
		RunE: func(_ *cobra.Command, args []string) error {
			at, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return misspelt(root, "verb or topic", args[0])
			}
			return at.Help()
		},
	}
}

// isTopic tells a page of text from a verb.
func isTopic(c *cobra.Command) bool { return !c.Runnable() && !c.HasSubCommands() }

func writeVerbs(b *strings.Builder, title string, cmd *cobra.Command, pick func(*cobra.Command) bool) {
	var lines strings.Builder
	for _, c := range cmd.Commands() {
		if pick(c) && !c.Hidden && c.Name() != "help" {
			fmt.Fprintf(&lines, "  %-15s%s\n", c.Name(), c.Short)
		}
	}
	if lines.Len() > 0 {
		b.WriteString("\n" + title + ":\n" + lines.String())
	}
}

func writeFlags(b *strings.Builder, title string, flags *pflag.FlagSet) {
	if text := flags.FlagUsages(); text != "" {
		b.WriteString("\n" + title + ":\n" + text)
	}
}
