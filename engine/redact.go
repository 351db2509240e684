package engine

import (
	"encoding/json"
	"sort"
	"strconv"
	"strings"
	"sync"
)

// redactLeast is the shortest text that is looked for: taking out shorter ones
// would spoil every message and tell the secret by its gaps.
const redactLeast = 4

// redacted are the texts of secrets that this process has read. They are the
// process's, not an engine's: what is printed must hold none of them.
var redacted struct {
	sync.Mutex
	words    map[string]string // to what stands in for them
	replacer *strings.Replacer
}

// redactSecret keeps a secret's text out of what is printed from now on: the
// whole of it and each of its lines, plain and as JSON and Go quote them.
func redactSecret(name string, text []byte) {
	redacted.Lock()
	defer redacted.Unlock()
	if redacted.words == nil {
		redacted.words = map[string]string{}
	}
	add := func(s string) {
		if s = strings.TrimSpace(s); len(s) >= redactLeast {
			redacted.words[s] = "[secret " + name + "]"
		}
	}
	lines := append([]string{string(text)}, strings.Split(string(text), "\n")...)
	for _, s := range lines {
		s = strings.TrimSpace(s)
		add(s)
		add(strings.Trim(strconv.Quote(s), `"`))
		if data, err := json.Marshal(s); err == nil {
			add(strings.Trim(string(data), `"`))
		}
	}
	words := make([]string, 0, len(redacted.words))
	for w := range redacted.words {
		words = append(words, w)
	}
	// A replacer tries its words in the order given: longer ones first.
	sort.Slice(words, func(i, j int) bool {
		return len(words[i]) > len(words[j]) || len(words[i]) == len(words[j]) && words[i] < words[j]
	})
	pairs := make([]string, 0, 2*len(words))
	for _, w := range words {
		pairs = append(pairs, w, redacted.words[w])
	}
	redacted.replacer = strings.NewReplacer(pairs...)
}

// Redact takes the secrets that this process has read out of a text.
func Redact(s string) string {
	redacted.Lock()
	r := redacted.replacer
	redacted.Unlock()
	if r == nil {
		return s
	}
	return r.Replace(s)
}
