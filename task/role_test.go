package task_test

import (
	"testing"

	"sam/task"
)

func TestStandingFollowsTheRoleAndFailsClosed(t *testing.T) {
	for _, c := range []struct {
		roleName        string // GitHub's
		role            task.Role
		public, private task.Standing
	}{
		{"admin", task.RoleAdmin, task.Writer, task.Writer},
		{"maintain", task.RoleMaintain, task.Writer, task.Writer},
		{"write", task.RoleWrite, task.Writer, task.Writer},
		{"triage", task.RoleTriage, task.Member, task.Member},
		{"read", task.RoleRead, task.Stranger, task.Member},
		{"none", task.RoleNone, task.Stranger, task.Stranger},
		{"", task.RoleNone, task.Stranger, task.Stranger},
		{"Write", task.RoleNone, task.Stranger, task.Stranger},
		{"push", task.RoleNone, task.Stranger, task.Stranger},
		{"security-reviewer", task.RoleNone, task.Stranger, task.Stranger}, // a custom role
	} {
		role := task.ParseRole(c.roleName)
		if role != c.role {
			t.Errorf("role_name %q is read as %q, want %q", c.roleName, role, c.role)
		}
		if got := task.StandingOf(role, false); got != c.public {
			t.Errorf("%q on a public repository: %s, want %s", c.roleName, got, c.public)
		}
		if got := task.StandingOf(role, true); got != c.private {
			t.Errorf("%q on a private repository: %s, want %s", c.roleName, got, c.private)
		}
	}
	if got := task.StandingOf("owner", true); got != task.Stranger {
		t.Errorf("a role that nobody parsed is %s, want a stranger", got)
	}
}
