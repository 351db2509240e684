package engine

import (
	"encoding/json"
	"sort"
	"strconv"
	"strings"
	"sync"
)

// The shortest texts that are looked for: taking out shorter ones would spoil
// other messages and tell the secret by its gaps. A line of a secret may be a
// common word.
const (
	redactLeast     = 6
	redactLineLeast = 8
)

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
	add := func(s string, least int) {
		if s = strings.TrimSpace(s); len(s) < least {
			return
		}
		forms := []string{s, strconv.Quote(s)}
		if data, err := json.Marshal(s); err == nil {
			forms = append(forms, string(data))
		}
		for i, f := range forms {
			if i > 0 { // without its quotation marks
				f = f[1 : len(f)-1]
			}
			redacted.words[f] = "[secret " + name + "]"
		}
	}
	add(string(text), redactLeast)
	for line := range strings.Lines(string(text)) {
		add(line, redactLineLeast)
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
