package wire

import "strings"

// CredentialPath is where a machine that SAM made gets its credential: a Challenge by GET, then by POST, with a
// CredentialRequest, a Credential.
const CredentialPath = "/node/v1/credential"

// ProgramPath is where a new machine fetches `sam` by GET, before it is a node and without a credential: below it are the
// program's SHA-256, in hexadecimal, and its name, sam-linux-amd64 or sam-linux-arm64.
const ProgramPath = "/node/v1/program/"

// Challenge is a text that a machine is to sign, within a minute.
type Challenge struct {
	Text string `json:"text"`
}

// CredentialRequest asks for a credential by the machine's own key.
type CredentialRequest struct {
	Node      string `json:"node"`
	Key       []byte `json:"key"` // Ed25519, 32 bytes
	Challenge string `json:"challenge"`
	Signature []byte `json:"signature"` // of SignedText
	// Bootstrap is the token of the user data. It binds the key to the node at first; later the key alone is asked for.
	Bootstrap string `json:"bootstrap,omitempty"`
}

// SignedText is what a machine signs. It names what for, so that the signature is good for nothing else.
func SignedText(node, challenge string) []byte {
	return []byte(strings.Join([]string{"sam node credential 1", node, challenge}, "\n"))
}

// Credential is a machine's, for a while. The gateway sends a new one over the link before it is over.
type Credential struct {
	Value   string `json:"value"`
	Seconds int    `json:"seconds"` // how long it is good for
}

// String does not show it.
func (Credential) String() string { return "a credential" }
