// Package egress is a workspace's way to the internet: a proxy by host name, which the node serves for one attempt.
//
//	CONNECT host:443                 a tunnel, streamed both ways
//	GET http://host/path             plain HTTP, as apt speaks it
//
// It admits what its Rules say and refuses everything else, and tells of each refusal. It asks nobody for credentials: who
// mounts it does.
//
// # What is checked
//
// A name is brought into one form (Target), compared with the lists (Rules), resolved here and not by the client, and
// every address that it resolves to is checked (forbidden); what is dialled is an address that was checked, never the name.
// So a name that resolves to something else a moment later gains nothing.
//
// Under Registries a tunnel must open with TLS for the very host that was asked for: a listed host may share its address
// with an unlisted one, as behind a content network, and the name in the handshake is what chooses between them. What
// is said inside TLS cannot be seen.
package egress
