// Package chaos runs the product as it is deployed, three replicas behind a load balancer, three nodes that stand and machines that
// it makes, does to it what a bad week does, and counts what was lost, done twice, left behind or spent too much.
//
// The parts are real: processes of the sam binary that are killed, paused and restarted; redis-server, which is killed
// too; git. GitHub and Hetzner are their stand-ins with faults on, in this process; a server of Hetzner's boots a process too; and
// between each replica and Redis is a proxy that loses replies. Tasks arrive all the time. Violence follows a schedule that a seed decides; what the processes are at
// when it strikes is theirs. At the end everything gets time to finish, and a checker that shares no code with the product
// compares the records: what people asked here, what the histories of GitHub and Hetzner show, and what Redis holds.
//
// With Options.Break the binary has one protection taken away (see package store) and the violence is aimed at where that
// one protects: then the checker must find something, or it is blind.
package chaos
