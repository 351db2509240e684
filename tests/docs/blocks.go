// Package docs runs the documentation: each code block of README.md and docs/ is
// carried out, in its page's order, and what it prints is compared with what the
// page says it prints.
//
// A lua block whose first line is "-- NAME.lua" is written to that file of the
// page's folder; any other lua block must be a recipe that vsl check accepts. In a
// console block each line that begins with "$ " is a command, and what follows it
// up to the next is its output. A command may fail only where the page shows a
// line that begins with "vsl: ". A block of another language is a file when
// its first line names it ("# NAME" or "// NAME"), else text nobody runs: pages may
// use "text" alone for that.
package docs

import (
	"fmt"
	"regexp"
	"strings"
)

// block is a fenced block of a page.
type block struct {
	line int // of its fence, from 1
	lang string
	text string
}

// blocks are the fenced blocks of a page, in order.
func blocks(page string) ([]block, error) {
	var out []block
	var open *block
	for i, line := range strings.Split(page, "\n") {
		lang, fence := strings.CutPrefix(line, "```")
		switch {
		case fence && open == nil:
			open = &block{line: i + 1, lang: lang}
		case fence && lang == "":
			out = append(out, *open)
			open = nil
		case fence:
			return nil, fmt.Errorf("line %d: a fence within the block of line %d", i+1, open.line)
		case open != nil:
			open.text += line + "\n"
		}
	}
	if open != nil {
		return nil, fmt.Errorf("line %d: the block does not end", open.line)
	}
	return out, nil
}

// fileOf is the name that a block's first line gives it.
func (b block) fileOf() (string, bool) {
	first, _, _ := strings.Cut(b.text, "\n")
	m := fileName.FindStringSubmatch(first)
	if m == nil {
		return "", false
	}
	return m[1], true
}

var fileName = regexp.MustCompile(`^(?:--|#|//) ([\w./-]+\.\w+)$`)

// command is a line typed at a shell, and what it printed.
type command struct {
	line  int
	shell string
	want  []string
}

// commands are those of a console block. Lines that end in a backslash go on.
func (b block) commands() ([]command, error) {
	var out []command
	lines := strings.Split(strings.TrimSuffix(b.text, "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		shell, ok := strings.CutPrefix(lines[i], "$ ")
		if !ok {
			if len(out) == 0 {
				return nil, fmt.Errorf("line %d: a console block begins with a command: $ …", b.line+1)
			}
			last := &out[len(out)-1]
			last.want = append(last.want, lines[i])
			continue
		}
		c := command{line: b.line + 1 + i, shell: shell}
		for strings.HasSuffix(lines[i], `\`) && i+1 < len(lines) {
			i++
			c.shell += "\n" + lines[i]
		}
		out = append(out, c)
	}
	return out, nil
}

// mayFail says that the page shows an error, a note, or a test that failed.
func (c command) mayFail() bool {
	for _, l := range c.want {
		if strings.HasPrefix(l, "vsl: ") || strings.HasPrefix(l, "FAIL ") {
			return true
		}
	}
	return false
}

// matches says whether output is what the page shows, where numbers that differ
// from run to run, ids and times and sizes, may be others: those with a point or
// of four digits and more. "…" stands for anything within a line, and alone for
// any lines.
func (c command) matches(output string) bool {
	if len(c.want) == 0 {
		return true
	}
	var re strings.Builder
	re.WriteString("^")
	for _, l := range c.want {
		if strings.TrimSpace(l) == "…" {
			re.WriteString(`(?:.*\n)*?`)
			continue
		}
		re.WriteString(pattern(l) + `\n`)
	}
	re.WriteString("$")
	output = progress.ReplaceAllString(output, "")
	if output != "" && !strings.HasSuffix(output, "\n") {
		output += "\n"
	}
	return regexp.MustCompile(re.String()).MatchString(output)
}

// progress is what vsl says while something takes more than a second, as anything
// may on a busy machine. Pages leave it out.
var progress = regexp.MustCompile(`(?m)^vsl: (.* \d+%|[^:]+: (building: .*|booting|provisioning|shutting down|waiting until it is ready))\n`)

var varies = regexp.MustCompile(`\d+\.\d+\.\d+\.\d+|…|[ \t]+|\d+\.\d+[a-zA-Z]*|\d{4,}|\d+(?:B|KiB|MiB|GiB|[smhd])\b`)

// pattern is the regular expression of a line.
func pattern(line string) string {
	line = strings.TrimRight(line, " ")
	var re strings.Builder
	for line != "" {
		at := varies.FindStringIndex(line)
		if at == nil {
			break
		}
		re.WriteString(regexp.QuoteMeta(line[:at[0]]))
		switch found := line[at[0]:at[1]]; {
		case strings.Count(found, ".") == 3: // an address is what it is
			re.WriteString(regexp.QuoteMeta(found))
		case found == "…":
			re.WriteString(".*")
		case strings.TrimSpace(found) == "":
			re.WriteString("[ \t]+")
		default:
			re.WriteString(`[\d.]+[a-zA-Z]*`)
		}
		line = line[at[1]:]
	}
	return re.String() + regexp.QuoteMeta(line) + "[ \t]*"
}

// edit replaces the lines that follow line from.
type edit struct {
	from, drop int
	text       string
}

// apply carries out edits, which come in the order of their lines.
func apply(page string, edits []edit) string {
	lines := strings.Split(page, "\n")
	for i := len(edits) - 1; i >= 0; i-- {
		e := edits[i]
		rest := append(strings.Split(strings.TrimSuffix(e.text, "\n"), "\n"), lines[e.from+e.drop:]...)
		lines = append(lines[:e.from:e.from], rest...)
	}
	return strings.Join(lines, "\n")
}
