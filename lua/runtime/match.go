package runtime

import (
	"context"
	"fmt"
)

// Matches tells whether a Lua pattern matches the whole of a text.
func (s *State) Matches(text, pattern string) (ok bool, err error) {
	defer func() {
		if r := recover(); r != nil {
			pe, is := r.(patternError)
			if !is {
				panic(r)
			}
			err = fmt.Errorf("pattern %q: %w", pattern, pe.err)
		}
	}()
	m := &matcher{ctx: context.Background(), src: text, pat: "^" + pattern + "$"}
	begin, _ := m.search(0)
	return begin >= 0, nil
}
