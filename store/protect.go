//go:build !broken

package store

// Each of the protections that keep things from being lost or done twice has a name: dedupe, lease, fence, owed, ack. They
// are marked where they are: in Go by a question of protects, in a script by a line that ends in "-- protects: <name>".
// A binary built with the tag broken can take one away, so that `make chaos BREAK=<name>` shows that its checker sees what
// happens then. Every other binary has them all.

// protects reports whether the protection of that name is in place.
func protects(string) bool { return true }

// protected returns a script with the protections that are in place.
func protected(script string) string { return script }
