// Command empty does nothing: the floor of what starting a static Go program costs.
package main

func main() {}
