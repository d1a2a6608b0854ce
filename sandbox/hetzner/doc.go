// Package hetzner is a Hetzner Cloud that behaves: a stateful stand-in for its API,
// so that machines come and go with no internet and no bill. What it answers is in
// the types of hcloud-go, and its tests ask it through hcloud-go's own client.
//
// The layers, from the inside out:
//
//   - server.go, identity.go: what there is, by project. Everything is guarded by
//     Server.mu; methods whose comment says "with mu held" expect their caller to
//     hold it. agenda.go is its clock.
//   - catalogue.go, assortment.go, money.go: what can be ordered, where, for how much.
//   - servers.go, servercreate.go, serveractions.go, images.go, sshkeys.go,
//     primaryips.go, volumes.go, firewalls.go, actions.go: the API, one file for each
//     resource. list.go, labels.go and selector.go are what its lists share.
//   - route.go, rate.go, refusal.go: who may, how often, and in which words not.
//   - faults.go says what can go wrong, rules.go how that is written, dice.go what a
//     rule matches, and package dice draws.
//   - billing.go and history.go are what checkers ask; control.go is the one HTTP path
//     that is not Hetzner's.
//   - machine.go is the seam to what a server boots, tender.go keeps one. Below engine
//     is what boots them in containers.
//
// Known differences: no networks, placement groups, load balancers, floating
// addresses, certificates, ISOs, rescue systems or backups; nothing is stored on a
// volume; firewalls filter nothing; IPv4 addresses are of the host's loopback.
package hetzner
