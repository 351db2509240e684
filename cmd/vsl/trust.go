package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"vsl/engine"
)

// invoker is the user who runs vsl as root by sudo, in a list: that user could as well
// have named another file. It is empty for all others.
func invoker() []int {
	uid, err := strconv.Atoi(os.Getenv("SUDO_UID"))
	if err != nil || os.Geteuid() != 0 {
		return nil
	}
	return []int{uid}
}

// foldersOf are the folder in which a file is called so, and where that is a link to
// another one, that one's: who can write a folder can put another file there.
func foldersOf(path string) []string {
	dirs := []string{filepath.Dir(path)}
	if real, err := filepath.EvalSymlinks(path); err == nil && filepath.Dir(real) != dirs[0] {
		dirs = append(dirs, filepath.Dir(real))
	}
	return dirs
}

// ownersOf are the users, root aside, to whom a file and its folders belong.
func ownersOf(path string, info fs.FileInfo) []int {
	var users []int
	note := func(info fs.FileInfo) {
		if uid, ok := engine.OwnerOf(info); ok && uid != 0 && !slices.Contains(users, uid) {
			users = append(users, uid)
		}
	}
	note(info)
	for _, dir := range foldersOf(path) {
		if info, err := os.Stat(dir); err == nil {
			note(info)
		}
	}
	return users
}

// trustUnnamed checks a file that nobody named on this command line, and its folders.
// In a folder of root's with the sticky bit, as /tmp is, others cannot replace it.
func trustUnnamed(path string, info fs.FileInfo, users []int) error {
	users = slices.Concat(users, invoker())
	if err := engine.Trust(path, info, users...); err != nil {
		return err
	}
	for _, dir := range foldersOf(path) {
		info, err := os.Stat(dir)
		if err != nil {
			return err
		}
		if owner, ok := engine.OwnerOf(info); ok && owner == 0 && info.Mode()&fs.ModeSticky != 0 {
			continue
		}
		if err := engine.Trust(dir, info, users...); err != nil {
			return err
		}
	}
	return nil
}

// namesRecipe says whether an argument that chooses guests names their recipe, and no
// guest.
func namesRecipe(e *engine.Engine, arg string, origin engine.Origin) bool {
	if _, err := e.Lookup(arg); err == nil {
		return false
	}
	abs, err := filepath.Abs(arg)
	return err == nil && slices.Contains([]string{abs, filepath.Join(abs, "recipe.lua")}, origin.Path)
}
