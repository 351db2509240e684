package main

import (
	"context"
	"io"
	"os"
	"regexp"

	"github.com/spf13/cobra"

	"vsl/engine"
)

type logsOptions struct {
	follow bool
	lines  int
}

func (a *app) logsCommand() *cobra.Command {
	var o logsOptions
	cmd := &cobra.Command{
		Use:   "logs [-f] [-n LINES] NAME",
		Short: "print a guest's console log",
		Long: "Prints what a guest's init or command wrote to its console. The log is bounded: the oldest of\n" +
			"it goes first. With -f it goes on until the guest ends.",
		Example: "  vsl logs -n 20 web1\n  vsl logs -f web1",
		Args:    exactly(1, "a guest"),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.runLogs(cmd.Context(), args[0], o) },
	}
	cmd.ValidArgsFunction = a.completeOneGuest
	cmd.Flags().BoolVarP(&o.follow, "follow", "f", false, "go on with what is added")
	cmd.Flags().IntVarP(&o.lines, "lines", "n", -1, "only the last lines (default all)")
	return cmd
}

func (a *app) runLogs(ctx context.Context, name string, o logsOptions) error {
	e, err := a.engine(false)
	if err != nil {
		return err
	}
	g, err := e.Lookup(name)
	if err != nil {
		return err
	}
	out := harmless(a.ui.out, a.ui.outTerm)
	if o.follow {
		if err := e.FollowLog(ctx, name, o.lines, out); !engine.ReaderGone(err) && a.ui.lost.failure() == nil {
			return err
		}
		return nil // the reader has seen enough, or its failure is told at the end
	}
	n := o.lines
	if n < 0 {
		n = 1 << 30
	}
	for _, line := range g.LogTail(n) {
		if _, err := io.WriteString(out, line+"\n"); err != nil {
			return nil // likewise
		}
	}
	return nil
}

// guestOutput is standard output, and guestErrors standard error, for what a command
// in a guest writes: as they are for a file or pipe; on a terminal only colours are
// left of control codes, as the rest could do anything to it.
func (u *ui) guestOutput() io.Writer { return harmless(u.rawOut, u.outTerm) }
func (u *ui) guestErrors() io.Writer { return harmless(u.err, u.errTerm) }

// oneOutput tells whether standard output and standard error are one thing.
func (u *ui) oneOutput() bool {
	out, ok1 := u.rawOut.(*os.File)
	err, ok2 := u.err.(*os.File)
	if !ok1 || !ok2 {
		return false
	}
	o, oerr := out.Stat()
	e, eerr := err.Stat()
	return oerr == nil && eerr == nil && os.SameFile(o, e)
}

func harmless(w io.Writer, terminal bool) io.Writer {
	if !terminal {
		return w
	}
	return &colourOnly{w: w, colour: regexp.MustCompile("\x1b\\[[0-9;]*m")}
}

type colourOnly struct {
	w      io.Writer
	colour *regexp.Regexp
}

func (c *colourOnly) Write(p []byte) (int, error) {
	var out []byte
	at := 0
	for _, m := range c.colour.FindAllIndex(p, -1) {
		out = append(append(out, clean(string(p[at:m[0]]))...), p[m[0]:m[1]]...)
		at = m[1]
	}
	_, err := c.w.Write(append(out, clean(string(p[at:]))...))
	return len(p), err
}
