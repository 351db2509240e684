package engine

import (
	"strings"
	"testing"
)

func TestLastFirst(t *testing.T) {
	on := func(name string) map[string]string { return map[string]string{name: "ready"} }
	for _, c := range []struct {
		names string
		after map[string]map[string]string
		want  string
	}{
		{"a b c", nil, "a b c"},
		{"queue worker1 worker2", map[string]map[string]string{"worker1": on("queue"), "worker2": on("queue")}, "worker1 worker2 queue"},
		{"a b c", map[string]map[string]string{"c": on("b"), "b": on("a")}, "c b a"},
		{"a b", map[string]map[string]string{"a": on("gone")}, "a b"},
		{"a b", map[string]map[string]string{"a": on("b"), "b": on("a")}, "b a"},
	} {
		if got := strings.Join(lastFirst(strings.Fields(c.names), c.after), " "); got != c.want {
			t.Errorf("lastFirst(%s) = %s, want %s", c.names, got, c.want)
		}
	}
}
