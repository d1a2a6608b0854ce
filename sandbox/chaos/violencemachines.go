package chaos

import (
	"context"
	"math/rand/v2"
	"time"
)

// The kinds of violence to machines, beside what the stand-in for Hetzner does.
const (
	killMachine    = "kill_machine"
	killAtCreation = "kill_at_a_creation"
)

// Between two deaths of machines: it takes about as long until another is there and at work. In short runs each death is to make a
// creation necessary.
const (
	machinesLeast = 12 * time.Second
	machinesMost  = 45 * time.Second
)

// hurtMachines kills machines, and every other time whoever has another made, until ctx ends: first all that are up, since what strikes at
// a creation needs one, and a creation needs tasks without a machine. A creation whose maker died is taken over after 30 s.
func (v *violence) hurtMachines(ctx context.Context, random *rand.Rand) {
	every := min(max(machinesLeast, v.world.options.Duration/4), machinesMost)
	v.killAtCreation(ctx)
	v.killMachines(ctx, random, mostMachines)
	for creation := false; rest(ctx, every); creation = !creation {
		if creation {
			v.killAtCreation(ctx)
		}
		v.killMachines(ctx, random, 1)
	}
}

// killMachines has so many of the machines that are up die for good: Hetzner goes on saying that they run.
func (v *violence) killMachines(ctx context.Context, random *rand.Rand, most int) {
	servers := v.world.cloud.History().Servers
	for _, i := range random.Perm(len(servers)) {
		if s := servers[i]; most > 0 && s.DeletedAt == nil && s.Machine == "up" && v.world.cloud.KillMachine(s.ID) == nil {
			v.hit(ctx, killMachine, "killed machine "+s.Name)
			most--
		}
	}
}

// killAtCreation kills the next replica that asks for a machine, before it is heard or before it has heard.
func (v *violence) killAtCreation(ctx context.Context) {
	v.world.cloud.atCreation(func(replica int) bool {
		p := v.world.replicas[replica]
		killed := p.kill()
		switch {
		case killed:
			v.hit(ctx, killAtCreation, "killed "+p.name+" while it has a machine made")
		case ctx.Err() == nil: // it was paused, or killed, when it had just asked
			v.killAtCreation(ctx)
		}
		return killed
	})
}
