package spawn

import _ "embed"

//go:embed reaper/reaper_arm64.elf
var reaperELF []byte
