// Command vsl runs virtual private servers as ordinary processes of this host,
// declared by recipes written in Lua.
package main

import (
	"io"
	"os"
	"runtime"
	"runtime/debug"
)

func main() {
	// A command lives for milliseconds and its heap is small: collecting half as
	// often took 30 % off 200 boots and costs some megabytes while they last.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// manySystemCalls readies the runtime for many boots at once. A thread in a
// system call keeps its processor until the runtime's monitor takes it away,
// which may be milliseconds: on 2 CPUs, 200 boots took 2.1 s with as many
// processors as CPUs, and 1.4 s with four times as many.
func manySystemCalls() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(4 * runtime.NumCPU())
	}
}

// run is one command from its arguments to its exit code.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := newApp(stdin, stdout, stderr)
	defer a.close()
	return a.exit(a.execute(args))
}
