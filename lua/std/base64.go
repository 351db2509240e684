package std

import (
	"encoding/base64"
	"errors"
	"strings"
)

// maxText bounds what one call may make.
const maxText = 64 << 20

func base64Members() []Member {
	return []Member{
		{Name: "base64", Doc: "reads and writes Base64 (RFC 4648, chapter 4: the alphabet with + and /, and = at the end)."},
		{Name: "base64.encode", Sig: "(text: string): string", Doc: "writes bytes as Base64, in one line.",
			Example: `std.base64.encode("vsl\0") --> "dnNsAA=="`, fn: encodeBase64},
		{Name: "base64.decode", Sig: "(text: string): string", Doc: "reads Base64, nothing looser: no spaces or line ends, with = at the end. An error names the character.",
			Example: `std.base64.decode("dnNs") --> "vsl"`, fn: decodeBase64},
	}
}

func encodeBase64(c *call) int {
	text := c.text(1)
	if base64.StdEncoding.EncodedLen(len(text)) > maxText {
		c.bad(1, "", "the result is longer than %d MB", maxText>>20)
	}
	return c.gives(base64.StdEncoding.EncodeToString([]byte(text)))
}

// base64Alphabet is what encoded text is made of.
const base64Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="

func decodeBase64(c *call) int {
	text := c.text(1)
	for i := 0; i < len(text); i++ { // Go's would pass over line ends
		if strings.IndexByte(base64Alphabet, text[i]) < 0 {
			c.bad(1, base64Hint(text[i]), "character %d, %q, is not of Base64", i+1, text[i:i+1])
		}
	}
	out, err := base64.StdEncoding.Strict().DecodeString(text)
	if at := base64.CorruptInputError(0); errors.As(err, &at) {
		hint := ""
		if len(text)%4 != 0 {
			hint = "its length is a multiple of four, with = at the end"
		}
		c.bad(1, hint, "Base64 that goes wrong at character %d", int(at)+1)
	}
	return c.gives(string(out))
}

func base64Hint(c byte) string {
	switch c {
	case ' ', '\t', '\n', '\r':
		return `text:gsub("%s", "") takes spaces and line ends out`
	case '-', '_':
		return `that is the alphabet for URLs: text:gsub("%-", "+"):gsub("_", "/") makes this one of it`
	}
	return ""
}
