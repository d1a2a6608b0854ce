// Package simulation runs replicas of SAM, nodes and GitHub's stand-in in one process on a simulated clock, and breaks
// them on purpose. It has tests only.
//
//	go test ./simulation                                   a sample of the crashes, and some random cases; the same each time
//	SAM_SIMULATION=all go test -timeout 30m ./simulation   a crash before and after every effect, and a hundred new cases; the seed is printed
//	SAM_SIMULATION_SEED=n                                  another sample of the crashes
//	SAM_SIMULATION_INDEX=n                                 the crashes at the n-th effect only
//	SAM_SIMULATION_LOG=1                                   with all that the replicas log
//	-rapid.seed=n -rapid.checks=m                          the same random cases again, or more of them
//
// An effect is whatever a replica changes outside itself: a script or a command that writes to Redis, entries of a stream
// that Redis hands out to it, a call that changes something at GitHub, a push. They all pass one place (outside_test.go), at
// which the replica is killed, cut off or held up. Which goroutine comes first is not simulated, so a seed repeats a case
// nearly, not to the letter.
//
// The clock stands still while anything waits for a lock (testing/synctest has it so). What SAM does with a lock held is
// therefore never delayed here, nor made to be tried again: see strikeable.
package simulation
