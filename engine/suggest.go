package engine

import (
	"sort"
	"strings"
)

// Misspelt gives the known name that name is most likely a misspelling of, or ""
// when none is near, for names out of a crowd: there a short word with two letters
// changed is another word.
func Misspelt(name string, known []string) string {
	limit := 1
	if len(name) >= 6 {
		limit = len(name) / 3
	}
	return within(limit, name, known)
}

// within gives the known name that is the fewest changes away, at most limit.
func within(limit int, name string, known []string) string {
	sorted := append([]string(nil), known...)
	sort.Strings(sorted)
	best, bestDist := "", limit+1
	for _, k := range sorted {
		if k == name {
			continue
		}
		if d := distance(strings.ToLower(name), strings.ToLower(k), limit); d < bestDist {
			best, bestDist = k, d
		}
	}
	return best
}

// Nearest gives the known name that name is most likely a misspelling of, or
// "" when none is near. Names that contain one another count as near.
func Nearest(name string, known []string) string {
	sorted := append([]string(nil), known...)
	sort.Strings(sorted)
	best := within(max(1, (len(name)+1)/3), name, known)
	if best != "" || len(name) < 3 {
		return best
	}
	for _, k := range sorted {
		if len(k) >= 3 && (strings.Contains(k, name) || strings.Contains(name, k)) {
			return k
		}
	}
	return ""
}

// distance is the optimal string alignment distance: insertions, deletions,
// substitutions and swaps of neighbours. It gives limit+1 for anything further.
func distance(a, b string, limit int) int {
	if d := len(a) - len(b); d > limit || -d > limit {
		return limit + 1
	}
	before, prev, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], before[j-2]+1)
			}
		}
		before, prev, cur = prev, cur, before
	}
	return min(prev[len(b)], limit+1)
}
