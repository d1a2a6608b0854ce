package config

// Keys says where the keys are that seal secrets. They are read together; none means that SAM keeps no secrets.
type Keys struct {
	Files []string // one key each, as `sam keys new` writes it
	Dir   string   // and every *.key file in a folder
}

// None reports whether no key is named.
func (k Keys) None() bool { return len(k.Files) == 0 && k.Dir == "" }
