package container

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"strings"
	"testing"
)

func TestACloudConfigIsReadAsCloudInitReadsIt(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write([]byte("squeezed")); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	c, err := parseCloudConfig(`#cloud-config
write_files:
- path: /a
  content: |
    plain
  permissions: '0600'
- {path: /b, encoding: gz+b64, content: ` + base64.StdEncoding.EncodeToString(packed.Bytes()) + `}
- {path: /c, encoding: b64, content: YmFzZQ==, owner: 'sam:sam', append: true, defer: true}
bootcmd:
- echo first
runcmd:
- [echo, it's, 7]
- echo $HOME
package_update: false
swap: {size: 1}
`)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"plain\n", "squeezed", "base"} {
		if got := string(c.WriteFiles[i].data); got != want {
			t.Errorf("%s holds %q, want %q", c.WriteFiles[i].Path, got, want)
		}
	}
	if f := c.WriteFiles[2]; f.Owner != "sam:sam" || !f.Append || !f.Defer || c.WriteFiles[0].Permissions != "0600" {
		t.Errorf("got %+v", c.WriteFiles)
	}
	if got := c.RunCmd[0].shell() + "; " + c.RunCmd[1].shell(); got != `'echo' 'it'\''s' '7'; echo $HOME` {
		t.Errorf("commands: %s", got)
	}
	if strings.Join(c.ignored, " ") != "package_update swap" {
		t.Errorf("ignored: %v", c.ignored)
	}
}

func TestUserDataThatNoMachineUnderstandsIsRefused(t *testing.T) {
	for text, why := range map[string]string{
		"hello":                                       "neither a cloud-config nor a script",
		"#cloud-config\nwrite_files: 7":               "read the cloud-config",
		"#cloud-config\n\t- x":                        "read the cloud-config",
		"#cloud-config\n[a, b]":                       "read the cloud-config",
		"#cloud-config\nwrite_files: [{path: etc/x}]": "no absolute path",
		"#cloud-config\nwrite_files: [{path: /x, encoding: rot13}]":                     "rot13",
		"#cloud-config\nwrite_files: [{path: /x, encoding: b64, content: '!'}]":         "illegal base64",
		"#cloud-config\nwrite_files: [{path: /x, encoding: gzip, content: 'not gzip'}]": "gzip",
	} {
		if got, err := script(text); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%q: %v, want %q; made %q", text, err, why, got)
		}
	}
	if _, err := script(""); err != nil {
		t.Errorf("a machine needs no user data: %v", err)
	}
}
