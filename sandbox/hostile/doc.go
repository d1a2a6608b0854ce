// Package hostile runs an agent that means harm, and a repository that does, against the product as it is deployed, and says
// of each thing that they tried whether it was refused, contained, or got out.
//
// The parts are real: sam serve and sam node are processes of the sam binary in their default configuration, workspaces are
// containers of the engine, Redis is redis-server. GitHub and the model are their stand-ins, in this process. The agent
// (package intruder) stands in the place where the node has Claude Code and speaks its language, so it gets what the real one
// gets: the same container, sockets, token and time.
//
// The agent's word counts for two things only: that it made an attempt, and what it has stolen, which is compared with what
// there was to steal. Everything else is looked at from outside: the refs of the stand-in, listeners that record whoever
// connects, files that only code on the host could write, the host's processes and disk, the container as the engine has it.
// Each kind of look is tried out first, on something that it must see; an attempt that was not made, or a look that sees
// nothing where something is, is an error and never a refusal.
//
// What is refused or cut is to be told on the task's page, by name: each attempt says by which event (telling), or why there is
// nobody to tell. Between the node and its gateway stands a door that lets one head pass for one that nobody vouches for, and
// changes nothing else (doubt).
//
// Options.Loosen takes a protection away, by changing what the node asks the engine for. Then something must get out.
package hostile
