package task

// Role is what GitHub lets a person do in a repository, by its role_name.
type Role string

// The roles, and none.
const (
	RoleNone     Role = "none"
	RoleRead     Role = "read"
	RoleTriage   Role = "triage"
	RoleWrite    Role = "write"
	RoleMaintain Role = "maintain"
	RoleAdmin    Role = "admin"
)

// ParseRole reads GitHub's role_name. What SAM does not know, a custom role among it, is RoleNone: it fails closed.
func ParseRole(name string) Role {
	switch r := Role(name); r {
	case RoleRead, RoleTriage, RoleWrite, RoleMaintain, RoleAdmin:
		return r
	default:
		return RoleNone
	}
}

// Standing is what SAM lets a person do.
type Standing string

// The standings.
const (
	Writer   Standing = "writer"   // may ask for work
	Member   Standing = "member"   // is told why not
	Stranger Standing = "stranger" // is answered with silence
)

// StandingOf tells a role's standing. On a public repository everyone can read, so a reader is a stranger there.
func StandingOf(r Role, private bool) Standing {
	switch r {
	case RoleWrite, RoleMaintain, RoleAdmin:
		return Writer
	case RoleTriage:
		return Member
	case RoleRead:
		if private {
			return Member
		}
	}
	return Stranger
}
