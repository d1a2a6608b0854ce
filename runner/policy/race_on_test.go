//go:build race

package policy_test

// slower is by how much the race detector may slow down what is timed.
const slower = 20
