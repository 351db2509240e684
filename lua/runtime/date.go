package runtime

import (
	"math/rand"
	"strings"
	"time"

	"github.com/ncruces/go-strftime"
	lua "github.com/yuin/gopher-lua"
)

// maxDate bounds the format of os.date.
const maxDate = 1000

// openDates gives os.date and os.time as C's strftime(3) and mktime(3) have them,
// in the C locale, and math.random with Lua's errors.
func (s *State) openDates(g *lua.LTable) {
	os := g.RawGetString("os").(*lua.LTable)
	os.RawSetString("date", s.Func("os.date", s.date))
	os.RawSetString("time", s.Func("os.time", s.time))
	g.RawGetString("math").(*lua.LTable).RawSetString("random", s.Func("math.random", random))
}

// date is os.date([format [, seconds since 1970]]).
func (s *State) date(l *lua.LState) int {
	format := l.OptString(1, "%c")
	if len(format) > maxDate {
		s.Raisef(l, "", "os.date: the format is longer than %d bytes", maxDate)
	}
	t := time.Now()
	if l.Get(2) != lua.LNil {
		t = time.Unix(l.CheckInt64(2), 0)
	}
	if rest, utc := strings.CutPrefix(format, "!"); utc {
		format, t = rest, t.UTC()
	}
	if !strings.HasPrefix(format, "*t") {
		l.Push(lua.LString(strftime.Format(cOnly(format), t)))
		return 1
	}
	out := l.NewTable()
	for _, f := range []struct {
		name  string
		value int
	}{
		{"year", t.Year()}, {"month", int(t.Month())}, {"day", t.Day()}, {"hour", t.Hour()}, {"min", t.Minute()},
		{"sec", t.Second()}, {"wday", int(t.Weekday()) + 1}, {"yday", t.YearDay()},
	} {
		out.RawSetString(f.name, lua.LNumber(f.value))
	}
	out.RawSetString("isdst", lua.LBool(t.IsDST()))
	l.Push(out)
	return 1
}

// conversions are those of C and POSIX; the library knows some more.
const conversions = "aAbBcCdDeFgGhHIjmMnprRsStTuUVwWxXyYzZ%EO"

// cOnly has a format print what is no conversion of C's as it is.
func cOnly(format string) string {
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		b.WriteByte(format[i])
		if format[i] != '%' {
			continue
		}
		if i+1 == len(format) || !strings.ContainsRune(conversions, rune(format[i+1])) {
			b.WriteByte('%')
			continue
		}
		i++
		b.WriteByte(format[i])
	}
	return b.String()
}

// time is os.time([table]). Fields beyond their range are carried over, as mktime
// does; isdst is not looked at, since the time zone knows.
func (s *State) time(l *lua.LState) int {
	if l.Get(1) == lua.LNil {
		l.Push(lua.LNumber(time.Now().Unix()))
		return 1
	}
	t := l.CheckTable(1)
	field := func(name string, missing int) int {
		n, ok := toNumber(l.GetField(t, name))
		if !ok && missing < 0 {
			l.RaiseError("field '%s' missing in date table", name)
		}
		if !ok {
			return missing
		}
		return int(n)
	}
	sec, minute, hour := field("sec", 0), field("min", 0), field("hour", 12)
	day, month, year := field("day", -1), field("month", -1), field("year", -1)
	l.Push(lua.LNumber(time.Date(year, time.Month(month), day, hour, minute, sec, 0, time.Local).Unix()))
	return 1
}

// random is math.random([m [, n]]).
func random(l *lua.LState) int {
	if l.GetTop() == 0 {
		l.Push(lua.LNumber(rand.Float64()))
		return 1
	}
	low, high, at := int64(1), l.CheckInt64(1), 1
	switch l.GetTop() {
	case 1:
	case 2:
		low, high, at = high, l.CheckInt64(2), 2
	default:
		l.RaiseError("wrong number of arguments")
	}
	width := high - low + 1
	if low > high || width <= 0 {
		l.ArgError(at, "interval is empty")
	}
	l.Push(lua.LNumber(low + rand.Int63n(width)))
	return 1
}
