//go:build race

package gateway

// raced says that this is built with the race detector, which slows some code much more than other.
const raced = true
