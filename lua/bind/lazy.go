package bind

import (
	"regexp"
	"sync"
)

// LazyRE compiles a pattern when it is first used: most commands need none, and
// all of them would pay.
func LazyRE(pattern string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(pattern) })
}
