// This file is empty on purpose: a package with functions that have no body
// (the linknames of fork.go) needs one assembly file.
