package runtime

// Differences are those from Lua 5.1 in what a library function, or a program, gives for the same
// values. They are meant to be; everything else is compared with lua5.1 by a test.
var Differences = []string{
	DiffFormatAny:    "%s of string.format takes every value, by tostring",
	DiffFormatZero:   "a zero byte does not end %s and %c of string.format",
	DiffOpenCapture:  "a capture that is not closed is an error of string.gsub also where nothing asks for it",
	DiffLastPercent:  "% at the end of a replacement of string.gsub stays %, and is no zero byte",
	DiffNumberText:   "as text a number has all the digits that it takes, and infinity is +Inf",
	DiffFormat64:     "%d and its kin of string.format refuse what has more than 64 bits, where C gives anything",
	DiffWide:         "numbers are not cut to 32 bits where a function wants a whole one",
	DiffNegativeBase: `tonumber("-f", 16) is -15, not 2^64 - 15`,
	DiffNumberZero:   "a text with a zero byte in it is no number, where C looks no further than that byte",
	DiffNilKey:       "t[nil] = v asks __newindex, where there is one, before it is an error",
	DiffStrictString: `a name that string does not have is an error, also where it is asked of a text: ("x").size`,
	DiffNumberLong:   "a text of more than 4096 bytes, without the spaces around it, is no number",
}

// The differences by name.
const (
	DiffFormatAny = iota
	DiffFormatZero
	DiffOpenCapture
	DiffLastPercent
	DiffNumberText
	DiffFormat64
	DiffWide
	DiffNegativeBase
	DiffNumberZero
	DiffNumberLong
	DiffStrictString
	DiffNilKey
)

// WhyRefused says of a global of plain Lua that recipes do not get what is there instead.
func WhyRefused(name string) string { return refused[name] }
