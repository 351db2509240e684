package lua

import (
	"errors"
	"sort"

	"vsl/engine"
)

// sortByLine orders errors of one file by line; others keep their place at the end.
func sortByLine(errs []error) {
	line := func(err error) int {
		var m *Mistake
		var r *RuntimeError
		pos := engine.Pos{}
		switch {
		case errors.As(err, &r):
			pos = r.Pos
		case errors.As(err, &m):
			pos = m.Pos
		}
		if pos.Line == 0 {
			return 1 << 30
		}
		return pos.Line
	}
	sort.SliceStable(errs, func(i, j int) bool { return line(errs[i]) < line(errs[j]) })
}
