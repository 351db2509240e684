package runtime

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	lua "github.com/yuin/gopher-lua"

	"vsl/tests/fixture"
)

// driver runs chunks in Lua 5.1: it reads a length and a chunk, and answers with
// a length and the values: n for numbers, s for strings, E for an error.
const driver = `
local function read(n) local s = io.read(n) if not s then os.exit(0) end return s end
local function pack(n) return string.char(n % 256, math.floor(n / 256) % 256, math.floor(n / 65536) % 256, math.floor(n / 16777216)) end
local function answer(ok, ...)
  local out = {}
  if not ok then return "E" .. pack(0) end
  for i = 1, select("#", ...) do
    local v = select(i, ...)
    local t = type(v)
    local text = t == "number" and string.format("%.17g", v) or t == "string" and v or t == "boolean" and tostring(v) or t
    out[#out + 1] = t:sub(1, 1) .. pack(#text) .. text
  end
  return table.concat(out)
end
while true do
  local b = { read(4):byte(1, 4) }
  local f = loadstring(read(b[1] + b[2] * 256 + b[3] * 65536 + b[4] * 16777216))
  local out = f and answer(pcall(f)) or "E" .. pack(0)
  io.write(pack(#out), out)
  io.flush()
end`

// peer is one lua5.1 that many cases are put to.
type peer struct {
	mu  sync.Mutex
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

var thePeer peer

var errSlow = errors.New("lua5.1 takes too long")

// needLua skips the test where there is no lua5.1.
func needLua(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("lua5.1"); err != nil {
		if os.Getenv("VSL_TEST_REQUIRE") != "" {
			t.Fatal("no lua5.1 to compare with: sh tests/deps.sh test installs it")
		}
		t.Skip("no lua5.1 to compare with: sh tests/deps.sh test installs it")
	}
	t.Cleanup(thePeer.stop)
}

func (p *peer) start() error {
	p.cmd = exec.Command("lua5.1", "-e", driver)
	p.cmd.Env = []string{"LC_ALL=C"}
	p.cmd.Stderr = os.Stderr
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	p.out = bufio.NewReader(out)
	return p.cmd.Start()
}

func (p *peer) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end()
}

func (p *peer) end() {
	if p.cmd != nil {
		_ = p.cmd.Process.Kill() // it may have ended
		_ = p.cmd.Wait()         // it was killed
		p.cmd = nil
	}
}

// eval gives a chunk's values as Lua 5.1 has them.
func (p *peer) eval(chunk string) ([]value, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		if err := p.start(); err != nil {
			return nil, err
		}
	}
	slow := time.AfterFunc(fixture.Patience(2*time.Second), func() { _ = p.cmd.Process.Kill() })
	text, err := p.ask(chunk)
	if !slow.Stop() {
		err = errSlow
	}
	if err != nil {
		p.end()
		return nil, err
	}
	var out []value
	for len(text) > 0 {
		n := 5 + binary.LittleEndian.Uint32(text[1:])
		out = append(out, value{text[0], string(text[5:n])})
		text = text[n:]
	}
	return out, nil
}

func (p *peer) ask(chunk string) ([]byte, error) {
	head := binary.LittleEndian.AppendUint32(nil, uint32(len(chunk)))
	if _, err := p.in.Write(append(head, chunk...)); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(p.out, head); err != nil {
		return nil, err
	}
	text := make([]byte, binary.LittleEndian.Uint32(head))
	_, err := io.ReadFull(p.out, text)
	return text, err
}

// value is a kind, which is the first letter of the type or E, and a text.
type value struct {
	kind byte
	text string
}

func (v value) same(o value) bool {
	if v.kind != 'n' || o.kind != 'n' || v.text == "nil" || o.text == "nil" {
		return v == o
	}
	a, err := strconv.ParseFloat(strings.Replace(v.text, "-nan", "nan", 1), 64)
	b, err2 := strconv.ParseFloat(strings.Replace(o.text, "-nan", "nan", 1), 64)
	return err == nil && err2 == nil && (a == b || math.IsNaN(a) && math.IsNaN(b) || math.Abs(a-b) < 1e-14*math.Abs(a)) // Go's power is a bit off
}

// here gives a chunk's values as our state has them.
func here(s *State, chunk string) (out []value, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second) // against hangs
	defer cancel()
	err = s.Do(ctx, func(l *lua.LState) error {
		fn, mistakes, err := s.Compile("differ.lua", []byte(chunk))
		if err = errors.Join(append(mistakes, err)...); err != nil {
			return err
		}
		values, err := s.Call(l, fn)
		if err != nil {
			out = []value{{kind: 'E', text: err.Error()}}
			return nil
		}
		for _, v := range values {
			text := v.Type().String()
			switch v := v.(type) {
			case lua.LNumber:
				text = strconv.FormatFloat(float64(v), 'g', 17, 64)
			case lua.LString, lua.LBool:
				text = v.String()
			}
			out = append(out, value{v.Type().String()[0], text})
		}
		return nil
	})
	return out, err
}

// deliberate says of each of Differences which cases it explains.
var deliberate = [...]func(c call, got, want value) bool{ // of the first values
	DiffFormatAny: func(c call, got, want value) bool {
		return c.fn == "string.format" && want.kind == 'E' && got.kind == 's' && c.mentions("nil", "true", "false")
	},
	DiffFormatZero: func(c call, got, want value) bool {
		return c.fn == "string.format" && want.kind == 's' && strings.Contains(got.text, "\x00")
	},
	DiffOpenCapture: func(c call, got, _ value) bool {
		return c.fn == "string.gsub" && strings.Contains(got.text, "does not close a capture")
	},
	DiffLastPercent: func(c call, got, want value) bool {
		return c.fn == "string.gsub" && strings.ReplaceAll(got.text, "\x00", "%") == strings.ReplaceAll(want.text, "\x00", "%")
	},
	DiffNumberText: func(c call, got, _ value) bool {
		return got.kind != 'E' && c.mentions("1/0", "-1/0", "0/0", "2^53", "-0")
	},
	DiffFormat64: func(c call, got, _ value) bool {
		return c.fn == "string.format" && strings.Contains(got.text, "has more than 64 bits")
	},
	DiffWide: func(c call, _, _ value) bool { return slices.ContainsFunc(c.args, wide) },
	DiffNegativeBase: func(c call, got, _ value) bool {
		return c.fn == "tonumber" && len(c.args) == 2 && got.kind == 'n' && strings.HasPrefix(got.text, "-")
	},
	DiffNumberZero: func(c call, got, want value) bool {
		zero := slices.ContainsFunc(c.args, func(a string) bool { return strings.Contains(a, `\000`) })
		return zero && want.kind != 'E' && (strings.Contains(got.text, "number expected") || c.fn == "tonumber" && got.text == "nil")
	},
	DiffStrictString: func(call, value, value) bool { return false }, // of programs, not of calls
	DiffNilKey:       func(call, value, value) bool { return false },
	DiffNumberLong: func(c call, _, _ value) bool {
		return slices.ContainsFunc(c.args, func(a string) bool { return len(a) > maxNumeral })
	},
}

// wide says whether an argument is a number, or the text of one, that has more than
// 32 bits.
func wide(arg string) bool {
	if arg == "2^40" || arg == "-2^40" {
		return true
	}
	text, quoted := strings.CutPrefix(arg, `"`)
	if !quoted {
		return false
	}
	text = octet.ReplaceAllStringFunc(strings.TrimSuffix(text, `"`), func(code string) string {
		n, _ := strconv.Atoi(code[1:])
		return string([]byte{byte(n)})
	})
	text = strings.TrimSpace(text)
	if n, err := strconv.ParseUint(strings.TrimLeft(text, "-"), 0, 64); err == nil {
		return n >= 1<<31
	}
	n, err := strconv.ParseFloat(text, 64)
	return err == nil && math.Abs(n) >= 1<<31
}

var octet = regexp.MustCompile(`\\[0-9]{3}`)

// Each difference that is told is one that the comparison knows, and the other way round.
func TestDifferencesAreTold(t *testing.T) {
	if len(Differences) != len(deliberate) {
		t.Fatalf("%d are told, %d are known", len(Differences), len(deliberate))
	}
	for i := range deliberate {
		if Differences[i] == "" || deliberate[i] == nil {
			t.Errorf("difference %d is not told, or explains nothing", i)
		}
	}
}

func (c call) mentions(args ...string) bool {
	for _, a := range c.args {
		if slices.Contains(args, a) {
			return true
		}
	}
	return false
}

func first(values []value) value {
	if len(values) == 0 {
		return value{}
	}
	return values[0]
}

// compare puts a case to both.
func compare(t *testing.T, s *State, c call) {
	t.Helper()
	chunk := c.chunk()
	want, err := thePeer.eval(chunk)
	if errors.Is(err, errSlow) {
		return
	}
	if err != nil {
		t.Fatalf("lua5.1: %v", err)
	}
	got, err := here(s, chunk)
	if err != nil {
		t.Fatalf("%s: %v", chunk, err)
	}
	same := len(got) == len(want)
	for i := 0; same && i < len(got); i++ {
		same = got[i].same(want[i]) || got[i].kind == 'E' && want[i].kind == 'E'
	}
	if same {
		return
	}
	for _, applies := range deliberate {
		if applies(c, first(got), first(want)) {
			return
		}
	}
	t.Errorf("%s\n here    %q\n lua5.1  %q", chunk, got, want)
}

// TestLikeLua51 puts the same cases to both in every run.
func TestLikeLua51(t *testing.T) {
	needLua(t)
	s := New(Options{})
	defer s.Close()
	rng := rand.New(rand.NewPCG(5, 1))
	n := 30_000
	if testing.Short() {
		n = 8_000
	}
	for range n {
		data := make([]byte, 48)
		for i := range data {
			data[i] = byte(rng.Uint32())
		}
		compare(t, s, (&choices{data}).call())
		if t.Failed() {
			return
		}
	}
}

// FuzzLikeLua51 looks for more of them.
func FuzzLikeLua51(f *testing.F) {
	needLua(f)
	s := New(Options{})
	f.Cleanup(s.Close)
	for i := range 24 {
		f.Add([]byte{byte(i), byte(3 * i), byte(5 * i), byte(7 * i), byte(i), byte(11 * i), byte(13 * i), 1, 2, 3})
	}
	f.Fuzz(func(t *testing.T, data []byte) { compare(t, s, (&choices{data}).call()) })
}
