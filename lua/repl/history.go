package repl

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
)

// maxHistory is how many chunks are kept from one session to the next.
const maxHistory = 1000

// history is what was typed, in a file of one quoted chunk per line. It belongs to
// whoever types: nobody else may read it. A file that cannot be used is none.
type history struct {
	path   string
	chunks []string
}

// historyFile is below XDG_STATE_HOME, where programs keep what they remember
// (XDG Base Directory Specification 0.8); "" where there is no home.
func historyFile() string {
	dir := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(dir) {
		home, err := os.UserHomeDir()
		if err != nil {
			return ""
		}
		dir = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(dir, "vsl", "history")
}

// openHistory reads the file, and cuts it short where it has grown long.
func openHistory(path string) *history {
	h := &history{path: path}
	data, err := os.ReadFile(path)
	if err != nil {
		return h
	}
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if chunk, err := strconv.Unquote(lines.Text()); err == nil {
			h.chunks = append(h.chunks, chunk)
		}
	}
	if n := len(h.chunks); n > 2*maxHistory {
		h.chunks = h.chunks[n-maxHistory:]
		h.rewrite()
	}
	return h
}

func (h *history) rewrite() {
	var b bytes.Buffer
	for _, c := range h.chunks {
		b.WriteString(strconv.Quote(c) + "\n")
	}
	// Another session may write at the same time: the file is replaced whole.
	tmp := h.path + "." + strconv.Itoa(os.Getpid())
	if os.WriteFile(tmp, b.Bytes(), 0o600) == nil {
		_ = os.Rename(tmp, h.path) // a longer file does no harm
	}
}

// Write remembers a chunk; the one before is not repeated.
func (h *history) Write(chunk string) (int, error) {
	if n := len(h.chunks); chunk == "" || n > 0 && h.chunks[n-1] == chunk {
		return n, nil
	}
	h.chunks = append(h.chunks, chunk)
	if h.path == "" || os.MkdirAll(filepath.Dir(h.path), 0o700) != nil {
		return len(h.chunks), nil
	}
	f, err := os.OpenFile(h.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return len(h.chunks), nil // it is remembered as long as the session lasts
	}
	_, err = f.WriteString(strconv.Quote(chunk) + "\n")
	return len(h.chunks), errors.Join(err, f.Close())
}

// GetLine gives the chunk of a number.
func (h *history) GetLine(i int) (string, error) {
	if i < 0 || i >= len(h.chunks) {
		return "", errors.New("no such chunk")
	}
	return h.chunks[i], nil
}

// Len counts the chunks.
func (h *history) Len() int { return len(h.chunks) }

// Dump gives all of them.
func (h *history) Dump() any { return h.chunks }
