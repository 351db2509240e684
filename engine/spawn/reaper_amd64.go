package spawn

import _ "embed"

//go:embed reaper/reaper_amd64.elf
var reaperELF []byte
