package devcontainer

import (
	"archive/tar"
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Users are whom features install for.
type Users struct {
	Remote, RemoteHome       string
	Container, ContainerHome string
	Image                    string // the image's own, which it keeps; empty for root
}

// after is the user that an image has when features are installed. What an image calls its own can be any text, lines of a
// Dockerfile too, and nobody has checked it.
func (u Users) after() string {
	if imageUser.MatchString(u.Image) {
		return u.Image
	}
	return "root"
}

var imageUser = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*\$?(:[A-Za-z0-9_][A-Za-z0-9_.-]*)?$`)

// featureFolder is where an image has features while they are installed.
const featureFolder = "/var/tmp/sam-features"

// Layer plans an image that has features installed on a base. It is built from the features' own files, and sees no others.
func Layer(base string, features []LoadedFeature, users Users) Plan {
	text := "FROM " + base + "\nUSER root\n"
	for i, feature := range features {
		for _, name := range slices.Sorted(maps.Keys(feature.Config.ContainerEnv)) {
			// Not quoted against $: a feature adds to PATH so.
			value := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", " ", "\r", " ").Replace(feature.Config.ContainerEnv[name])
			text += "ENV " + name + `="` + value + "\"\n"
		}
		at := fmt.Sprintf("%s/%d", featureFolder, i)
		text += fmt.Sprintf("COPY feature-%d %s\n", i, at)
		text += "RUN cd " + at + " && chmod -R a+rX . && chmod 0755 install.sh && set -a && . ./" + optionsFile + " && set +a && ./install.sh\n"
	}
	text += "RUN rm -rf " + featureFolder + "\nUSER " + users.after() + "\n"
	return Plan{
		Dockerfile: Dockerfile{Text: []byte(text), Images: []string{base}},
		extra: func(ctx context.Context, archive *tar.Writer) error {
			for i, feature := range features {
				if err := addFeature(ctx, archive, fmt.Sprintf("feature-%d/", i), feature, users); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// optionsFile is in each feature's folder and is read by a shell before install.sh, whatever the feature itself has there.
const optionsFile = ".sam-options"

func addFeature(ctx context.Context, archive *tar.Writer, prefix string, feature LoadedFeature, users Users) error {
	files, err := feature.files()
	if err != nil {
		return fmt.Errorf("pack the feature %s: %w", keepShort(feature.ID), err)
	}
	defer files.Close()
	if err := addFolder(ctx, archive, files, prefix, ignore{}); err != nil {
		return err
	}
	options := maps.Clone(feature.Options)
	maps.Copy(options, map[string]string{
		"_REMOTE_USER": users.Remote, "_REMOTE_USER_HOME": users.RemoteHome,
		"_CONTAINER_USER": users.Container, "_CONTAINER_USER_HOME": users.ContainerHome,
	})
	text := ""
	for _, name := range slices.Sorted(maps.Keys(options)) {
		text += name + "='" + strings.ReplaceAll(options[name], "'", `'\''`) + "'\n"
	}
	return addText(archive, prefix+optionsFile, 0o644, text)
}
