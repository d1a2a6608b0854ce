package task

// Vitals is how a node's machine is, as it last said. Sums are bytes; one that is not known is 0, and so is what it is of.
type Vitals struct {
	Load1      float64 `json:"load1,omitempty"` // load average of one minute
	MemoryFree int64   `json:"memory_free,omitempty"`
	Memory     int64   `json:"memory,omitempty"` // in all
	DiskFree   int64   `json:"disk_free,omitempty"`
	Disk       int64   `json:"disk,omitempty"`      // in all: the disk of workspaces, or that of images where it has less left
	DiskKept   int64   `json:"disk_kept,omitempty"` // that the node keeps free: with less it takes no task itself
}

// Held is what a node has ready for tasks to come, by repositories.
type Held struct {
	Mirrors []int64 // it has a mirror of them
	Built   []int64 // it has an image of their environment
}
