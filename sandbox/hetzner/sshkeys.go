package hetzner

import (
	"bytes"
	"crypto/md5" //nolint:gosec // the API's fingerprints are MD5
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"time"

	"github.com/hetznercloud/hcloud-go/v2/hcloud/schema"
)

type sshKey struct {
	id          int64
	name        string
	fingerprint string
	public      string
	labels      map[string]string
	created     time.Time
}

func (k *sshKey) listed() listed {
	return listed{id: k.id, name: k.name, labels: k.labels, created: k.created, more: map[string]string{"fingerprint": k.fingerprint}}
}

func (k *sshKey) render() schema.SSHKey {
	return schema.SSHKey{ID: k.id, Name: k.name, Fingerprint: k.fingerprint, PublicKey: k.public, Labels: k.labels, Created: moment(k.created)}
}

func keyRoutes() []route {
	with := about(func(p *project) map[int64]*sshKey { return p.keys }, "SSH key")
	return []route{
		{"GET /v1/ssh_keys", func(c *call) (reply, error) {
			return list(c, "ssh_keys", c.p.keys, (*sshKey).listed, (*sshKey).render, "name", "fingerprint")
		}},
		{"POST /v1/ssh_keys", createKey},
		{"GET /v1/ssh_keys/{id}", with(func(_ *call, k *sshKey) (reply, error) { return ok(object{"ssh_key": k.render()}), nil })},
		{"PUT /v1/ssh_keys/{id}", with(func(c *call, k *sshKey) (reply, error) {
			var ask schema.SSHKeyUpdateRequest
			if err := c.read(&ask); err != nil {
				return reply{}, err
			}
			if err := rename(c.p.keys, k, (*sshKey).listed, &k.name, ask.Name, &k.labels, ask.Labels); err != nil {
				return reply{}, err
			}
			return ok(object{"ssh_key": k.render()}), nil
		})},
		{"DELETE /v1/ssh_keys/{id}", with(func(c *call, k *sshKey) (reply, error) {
			delete(c.p.keys, k.id)
			return gone(), nil
		})},
	}
}

func createKey(c *call) (reply, error) {
	var ask schema.SSHKeyCreateRequest
	if err := c.read(&ask); err != nil {
		return reply{}, err
	}
	labels, err := checkLabels(ask.Labels)
	switch {
	case err != nil:
		return reply{}, err
	case ask.Name == "":
		return reply{}, invalid("name", "is required")
	case named(c.p.keys, (*sshKey).listed, ask.Name) != nil:
		return reply{}, taken("SSH key name is already used", "name")
	}
	digest, valid := fingerprint(ask.PublicKey)
	if !valid {
		return reply{}, invalid("public_key", "is not a valid SSH public key")
	}
	for _, k := range c.p.keys {
		if k.fingerprint == digest {
			return reply{}, taken("SSH key with the same fingerprint already exists", "public_key")
		}
	}
	k := &sshKey{c.s.nextID(), ask.Name, digest, ask.PublicKey, labels, c.s.now()}
	c.p.keys[k.id] = k
	return created(object{"ssh_key": k.render()}), nil
}

// fingerprint of a key as authorized_keys has it: the MD5 of what is in base64,
// which says its own kind first.
func fingerprint(public string) (digest string, valid bool) {
	fields := strings.Fields(public)
	if len(fields) < 2 {
		return "", false
	}
	blob, err := base64.StdEncoding.DecodeString(fields[1])
	if err != nil || len(blob) < 4 {
		return "", false
	}
	size := uint64(binary.BigEndian.Uint32(blob))
	if uint64(len(blob)) < 4+size || !bytes.Equal(blob[4:4+size], []byte(fields[0])) {
		return "", false
	}
	sum := md5.Sum(blob) //nolint:gosec // as above
	var pairs []string
	for _, b := range sum {
		pairs = append(pairs, hex.EncodeToString([]byte{b}))
	}
	return strings.Join(pairs, ":"), true
}

// rename gives something another name, which must be free among its kind, and
// other labels. What is not asked for stays.
func rename[T any](
	all map[int64]*T, one *T, of func(*T) listed, name *string, to string, labels *map[string]string, asked *map[string]string,
) error {
	if other := named(all, of, to); to != "" && other != nil && other != one {
		return taken("name is already used", "name")
	}
	if asked != nil {
		checked, err := checkLabels(asked)
		if err != nil {
			return err
		}
		*labels = checked
	}
	if to != "" {
		*name = to
	}
	return nil
}
