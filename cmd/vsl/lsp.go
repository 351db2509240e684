package main

import (
	"github.com/spf13/cobra"

	"vsl/lua/lsp"
)

func (a *app) lspCommand() *cobra.Command {
	var stdio bool
	cmd := &cobra.Command{
		Use:   "lsp",
		Short: "help an editor with recipes, by the Language Server Protocol",
		Long: "Serves the Language Server Protocol on standard input and output: an editor starts it. It shows what\n" +
			"vsl lint and vsl check find while a recipe is typed, completes words and keys, says what they mean, and\n" +
			"goes to where they are defined. It needs no root and changes nothing. vsl help editors tells how\n" +
			"VS Code, Neovim, Emacs and Helix are told of it.",
		Example: "  vsl lsp        as an editor's language server",
		Args:    atMost(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if isTerminal(a.ui.in) {
				return &usageError{msg: "vsl lsp is started by an editor, not at a terminal", hint: "vsl help editors says how; vsl lint finds the same mistakes"}
			}
			return (&lsp.Server{In: a.ui.in, Out: a.ui.out, Version: buildVersion()}).Serve(cmd.Context())
		},
	}
	cmd.Flags().BoolVar(&stdio, "stdio", false, "what is done anyway; some editors ask for it")
	return cmd
}
