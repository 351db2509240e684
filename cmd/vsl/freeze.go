package main

import (
	"context"

	"github.com/spf13/cobra"

	"vsl/engine"
)

func (a *app) freezeCommand() *cobra.Command {
	return a.groupCommand(&cobra.Command{
		Use:     "freeze NAME…",
		Short:   "stop every process of guests where it is",
		Long:    "Stops every process of a guest where it is: it keeps its memory and uses no cpu until vsl thaw.",
		Example: "  vsl freeze web1",
	}, (*engine.Engine).Freeze)
}

func (a *app) thawCommand() *cobra.Command {
	return a.groupCommand(&cobra.Command{
		Use:     "thaw NAME…",
		Short:   "let frozen guests go on",
		Long:    "Lets the processes of a frozen guest go on.",
		Example: "  vsl thaw web1",
	}, (*engine.Engine).Thaw)
}

func (a *app) groupCommand(cmd *cobra.Command, act func(*engine.Engine, context.Context, string) error) *cobra.Command {
	a.guestArgs(cmd, 1)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		e, err := a.engine(false)
		if err != nil {
			return err
		}
		return each(args, func(name string) error { return act(e, cmd.Context(), name) })
	}
	return cmd
}
