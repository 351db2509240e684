package rootfs

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// stableSuite is Debian's current release, for hosts that are none.
const stableSuite = "stable"

// HostSuite is the release of Debian that this host is, by its os-release, or
// "stable" where it is none or does not say.
func HostSuite() string { return hostSuite(os.ReadFile) }

func hostSuite(read func(string) ([]byte, error)) string {
	rel, err := read("/etc/os-release")
	lines := strings.Split(string(rel), "\n")
	if err != nil || !isDebian(lines) {
		return stableSuite
	}
	for _, l := range lines {
		if v, ok := strings.CutPrefix(l, "VERSION_CODENAME="); ok {
			if v = strings.Trim(v, `"'`); debianWord.MatchString(v) {
				return v
			}
		}
	}
	return stableSuite
}

func isDebian(release []string) bool {
	return slices.ContainsFunc(release, func(l string) bool { return l == "ID=debian" || l == `ID="debian"` })
}

// hostSources gives the lines of the host's own apt sources that serve a Debian
// suite, its updates and its security archive. Other repositories of the host
// are none of a guest's business.
func hostSources(suite string, read func(string) ([]byte, error)) []string {
	rel, err := read("/etc/os-release")
	if err != nil || !isDebian(strings.Split(string(rel), "\n")) {
		return nil
	}
	files := []string{"/etc/apt/sources.list"}
	for _, g := range []string{"/etc/apt/sources.list.d/*.list", "/etc/apt/sources.list.d/*.sources"} {
		more, _ := filepath.Glob(g) // only a bad pattern is an error
		files = append(files, more...)
	}
	var lines []string
	for _, f := range files {
		b, err := read(f)
		if err != nil {
			continue
		}
		if strings.HasSuffix(f, ".sources") {
			lines = append(lines, deb822Sources(string(b), suite)...)
		} else {
			lines = append(lines, listSources(string(b), suite)...)
		}
	}
	// Only the suite itself makes the rest of any use.
	for _, l := range lines {
		if slices.Contains(strings.Fields(l), suite) {
			return lines
		}
	}
	return nil
}

func wantedSuite(s, suite string) bool {
	return s == suite || s == suite+"-updates" || s == suite+"-security"
}

// listSources picks from one-line sources, options and all.
func listSources(text, suite string) []string {
	var lines []string
	for l := range strings.Lines(text) {
		l, _, _ = strings.Cut(l, "#")
		f := strings.Fields(l)
		if len(f) < 4 || f[0] != "deb" {
			continue
		}
		i := 1
		if strings.HasPrefix(f[1], "[") {
			for i < len(f)-1 && !strings.HasSuffix(f[i], "]") {
				i++
			}
			i++
		}
		if i+2 < len(f) && wantedSuite(f[i+1], suite) {
			lines = append(lines, strings.Join(f, " "))
		}
	}
	return lines
}

// deb822Sources picks from sources in the format of deb822(5) and writes them as
// lines. A stanza with a key written out in it is left out.
func deb822Sources(text, suite string) []string {
	var lines []string
	for stanza := range strings.SplitSeq(text, "\n\n") {
		field := map[string][]string{}
		for l := range strings.Lines(stanza) {
			k, v, ok := strings.Cut(l, ":")
			if ok && !strings.HasPrefix(l, "#") && !strings.HasPrefix(l, " ") {
				field[strings.ToLower(strings.TrimSpace(k))] = strings.Fields(v)
			}
		}
		if !slices.Contains(field["types"], "deb") || slices.Equal(field["enabled"], []string{"no"}) {
			continue
		}
		options := ""
		if key := field["signed-by"]; len(key) > 0 {
			if !filepath.IsAbs(key[0]) {
				continue
			}
			options = "[signed-by=" + strings.Join(key, ",") + "] "
		}
		for _, u := range field["uris"] {
			for _, s := range field["suites"] {
				if wantedSuite(s, suite) && len(field["components"]) > 0 {
					lines = append(lines, "deb "+options+u+" "+s+" "+strings.Join(field["components"], " "))
				}
			}
		}
	}
	return lines
}
