//go:build !race

package grid_test

// underRace tells that the race detector runs, which takes tests that move
// or change many bytes ten times as long: they do less there, and all
// without it.
const underRace = false
