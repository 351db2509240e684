// Package stdlib holds the part of vsl that is written in Lua.
package stdlib

import "embed"

// FS holds vsl/*.lua, the modules that recipes reach as vsl.*.
//
//go:embed vsl/*.lua
var FS embed.FS
