// Package container boots the machines of the stand-in for Hetzner, each as a
// container of the local engine: a root file system, a process tree and a network
// of its own, in which what its user data says is done for real.
//
//   - machine.go makes, halts and removes the container. It is named after the server,
//     with a prefix, and whatever it starts on the engine carries its label and goes
//     with it.
//   - cloudconfig.go reads user data, and script.go turns it into what cloud-init
//     would do. systemctl.sh stands in for systemd, poweroff for the button.
//   - door.go is the container engine as a machine sees it: the host's, under a prefix.
//   - reach.go lets a machine reach the host's own listeners, from its public address.
//   - nft.go lends machines the host's nft, leftover.go removes what was left behind.
//
// It is no prison: who has the engine's socket has the host. Boot only what you
// trust.
package container
