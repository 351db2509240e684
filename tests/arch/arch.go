// Package arch holds no code: its tests keep the shape that DESIGN gives the
// tree. What golangci-lint's depguard says too is said here again, so that a
// checkout without that tool is held to it as well.
package arch
