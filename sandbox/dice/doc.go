// Package dice decides where the faults of a stand-in strike. A stand-in says what
// its rules match and what a fault does; how often one strikes, in which places for
// a seed, how that is counted and how it is written is the same for all of them, and
// here:
//
//   - odds.go: how often a rule strikes, and what a Rule must tell of itself.
//   - dice.go: the draw, and the report of what came of it.
//   - notation.go: faults as a command line writes them, or as JSON.
package dice
