// Package frame reads and writes the messages of editors' protocols: JSON behind
// header lines of which one says how long it is.
package frame

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"vsl/engine"
)

// Bounds on what a client may send.
const (
	maxHeader  = 4 << 10 // a line of a frame's header
	maxHeaders = 16
	maxContent = 16 << 20
)

// Message is one that an editor sent, or why no more come: io.EOF is its leaving
// between two of them.
type Message struct {
	Data []byte
	Err  error
}

// Messages reads until an error, which it gives last, or until done is closed.
func Messages(r io.Reader, done <-chan struct{}) <-chan Message {
	out := make(chan Message)
	go func() {
		buffered := bufio.NewReader(r)
		for {
			data, err := Read(buffered)
			if err != nil && !errors.Is(err, io.EOF) {
				err = fmt.Errorf("read from the editor: %w", err)
			}
			select {
			case out <- Message{data, err}:
			case <-done:
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return out
}

// Read reads one message: header lines, of which Content-Length counts, an
// empty line and the content. io.EOF is the end between two messages.
func Read(r *bufio.Reader) ([]byte, error) {
	length := -1
	for n := 0; ; n++ {
		line, err := readLine(r)
		if err != nil {
			if n > 0 && errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
		if line == "" && n > 0 {
			break
		}
		if n == maxHeaders {
			return nil, fmt.Errorf("a frame's header has more than %d lines", maxHeaders)
		}
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			return nil, fmt.Errorf("%.80q is no header of a frame: Content-Length: and a number is", line)
		}
		if !strings.EqualFold(key, "Content-Length") {
			continue
		}
		if length, err = strconv.Atoi(strings.TrimSpace(value)); err != nil || length < 0 {
			return nil, fmt.Errorf("%.80q is no length of a frame", strings.TrimSpace(value))
		}
	}
	switch {
	case length < 0:
		return nil, errors.New("a frame without Content-Length")
	case length > maxContent:
		return nil, fmt.Errorf("a frame of %d bytes, more than %d", length, maxContent)
	}
	// What is announced need not come: memory is taken as it does.
	content, err := io.ReadAll(io.LimitReader(r, int64(length)))
	if err == nil && len(content) < length {
		err = io.ErrUnexpectedEOF
	}
	return content, err
}

func readLine(r *bufio.Reader) (string, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > maxHeader {
			return "", fmt.Errorf("a line of a frame's header is longer than %d bytes", maxHeader)
		}
		if err == nil {
			return strings.TrimRight(string(line), "\r\n"), nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			if len(line) > 0 && errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return "", err
		}
	}
}

// Write writes a message, without the secrets that this process has read.
func Write(w io.Writer, message any) error {
	data, err := json.Marshal(message)
	if err != nil {
		return err
	}
	if safe := redact(data); safe != nil {
		data = safe
	}
	_, err = fmt.Fprintf(w, "Content-Length: %d\r\n\r\n%s", len(data), data)
	return err
}

// redact takes secrets out of the texts of a message; nil is that there is none.
// In JSON they may be escaped in ways that hide them.
func redact(data []byte) []byte {
	var all any
	if json.Unmarshal(data, &all) != nil {
		return nil
	}
	found := false
	var walk func(v any) any
	walk = func(v any) any {
		switch v := v.(type) {
		case string:
			safe := engine.Redact(v)
			found = found || safe != v
			return safe
		case []any:
			for i := range v {
				v[i] = walk(v[i])
			}
		case map[string]any:
			for k := range v {
				v[k] = walk(v[k])
			}
		}
		return v
	}
	all = walk(all)
	if !found {
		return nil
	}
	safe, err := json.Marshal(all)
	if err != nil { // it was made of JSON
		return []byte("{}")
	}
	return safe
}
