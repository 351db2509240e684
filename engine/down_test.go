package engine

import (
	"strings"
	"testing"
)

func TestLastFirst(t *testing.T) {
	type later = map[string][]string
	for _, c := range []struct {
		names string
		later later
		want  string
	}{
		{"a b c", nil, "a b c"},
		{"queue worker1 worker2", later{"queue": {"worker1", "worker2"}}, "worker1 worker2 queue"},
		{"a b c", later{"b": {"c"}, "a": {"b"}}, "c b a"},
		{"a b", later{"gone": {"a"}}, "a b"},
		{"a b", later{"b": {"a"}, "a": {"b"}}, "b a"},
	} {
		if got := strings.Join(lastFirst(strings.Fields(c.names), c.later), " "); got != c.want {
			t.Errorf("lastFirst(%s) = %s, want %s", c.names, got, c.want)
		}
	}
}
