package devcontainer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
)

const featureFile = "devcontainer-feature.json"

// features reads which features are asked for, in the order in which they stand; override names those to come first.
func (c *checker) features(raw, override json.RawMessage) []Feature {
	if raw == nil || empty(raw) {
		return nil
	}
	var said map[string]json.RawMessage
	ids, err := keys(raw)
	if err == nil {
		err = json.Unmarshal(raw, &said)
	}
	if err != nil || len(said) > maxFeatures {
		c.mistyped("features", fmt.Sprintf("an object of at most %d features", maxFeatures))
		return nil
	}
	var ahead []string
	if override != nil && json.Unmarshal(override, &ahead) != nil {
		c.mistyped("overrideFeatureInstallOrder", "a list of features")
	}
	place := func(id string) int {
		if at := slices.IndexFunc(ahead, func(one string) bool { return plainID(one) == plainID(id) }); at >= 0 {
			return at
		}
		return len(ahead)
	}
	slices.SortStableFunc(ids, func(a, b string) int { return place(a) - place(b) })
	var found []Feature
	for _, id := range ids {
		if options, ok := c.options("features."+keepShort(id), said[id]); ok {
			found = append(found, Feature{id, options})
		}
	}
	return found
}

// keys are an object's, in their order, each once.
func keys(object json.RawMessage) ([]string, error) {
	decoder := json.NewDecoder(bytes.NewReader(object))
	if opening, err := decoder.Token(); err != nil || opening != json.Delim('{') {
		return nil, errors.New("not an object")
	}
	var found []string
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		var skipped json.RawMessage
		if err := decoder.Decode(&skipped); err != nil {
			return nil, err
		}
		if name, ok := key.(string); ok && !slices.Contains(found, name) {
			found = append(found, name)
		}
	}
	return found, nil
}

// options are an object of texts and booleans; the older forms are a version, and a boolean that takes the feature or not.
func (c *checker) options(property string, raw json.RawMessage) (map[string]any, bool) {
	var value any
	if err := json.Unmarshal(raw, &value); err != nil {
		return nil, false
	}
	options := map[string]any{}
	switch said := value.(type) {
	case bool:
		return options, said
	case string:
		options["version"] = said
	case map[string]any:
		options = said
	default:
		c.mistyped(property, "an object of options")
		return nil, false
	}
	for _, name := range slices.Sorted(maps.Keys(options)) {
		switch value := options[name].(type) {
		case bool:
		case string:
			expanded, ok := c.expanded(property+"."+keepShort(name), value)
			if !ok || len(expanded) > maxValue || strings.ContainsRune(expanded, 0) {
				delete(options, name)
				continue
			}
			options[name] = expanded
		default:
			c.mistyped(property+"."+keepShort(name), "a text or a boolean")
			delete(options, name)
		}
	}
	return options, true
}

// plainID is a feature's ID without its version.
func plainID(id string) string {
	slash := strings.LastIndexByte(id, '/')
	if at := strings.IndexAny(id[slash+1:], ":@"); at >= 0 {
		return id[:slash+1+at]
	}
	return id
}

// LoadedFeature is a feature whose files are there.
type LoadedFeature struct {
	ID      string
	Config  Config            // what it says of the container: environment and lifecycle commands
	Options map[string]string // as its install.sh sees them

	name  string // its own, as others may call it
	after []string
	root  *os.Root
	dir   string
}

var cachedID = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]*(:[0-9]+)?(/[a-z0-9][a-z0-9._-]*)+(:[A-Za-z0-9][A-Za-z0-9._-]*)?$`)

// Load finds the files of the features that config asks for: those of the tree, by paths from the configuration's folder, and
// those that the node has in cache, which may be nil. A feature that is not there, or broken, is left out and found. The
// result is in the order of installing.
func Load(tree, cache *os.Root, config Config, vars Variables) ([]LoadedFeature, []Finding) {
	var loaded []LoadedFeature
	var findings []Finding
	if config.Folder != "" {
		vars.Folder = config.Folder
	}
	for _, wanted := range config.Features {
		one, found, err := wanted.load(tree, cache, path.Dir(config.Path), vars)
		findings = append(findings, found...)
		var unusable *UnusableError
		switch {
		case errors.As(err, &unusable) && unusable.Code != Failed: // as a whole nothing has failed
			findings = append(findings, Finding{unusable.Code, "features." + keepShort(wanted.ID), unusable.Text})
		case err != nil:
			findings = append(findings, Finding{LeftOut, "features." + keepShort(wanted.ID), fmt.Sprintf("The feature %s is left out: %s.", keepShort(wanted.ID), strings.TrimSuffix(err.Error(), "."))})
		default:
			loaded = append(loaded, one)
		}
	}
	return ordered(loaded), findings
}

func (f Feature) load(tree, cache *os.Root, here string, vars Variables) (LoadedFeature, []Finding, error) {
	one := LoadedFeature{ID: f.ID, root: tree}
	property := "features." + keepShort(f.ID)
	switch {
	case strings.HasPrefix(f.ID, "./") || strings.HasPrefix(f.ID, "../"):
		dir, err := within(here, f.ID, property)
		if err != nil {
			return one, nil, err
		}
		one.dir = dir
	case !cachedID.MatchString(f.ID) || strings.Contains(f.ID, ".."):
		return one, nil, leftOut(property, "The feature %s is left out: it is neither a folder of the repository (./…) nor one with a registry, a path and a version. Mend its name.", keepShort(f.ID))
	default:
		one.root, one.dir = cache, cachePath(f.ID)
	}
	if one.root == nil || !isFile(one.root, path.Join(one.dir, featureFile)) || !isFile(one.root, path.Join(one.dir, "install.sh")) {
		if one.root == tree {
			return one, nil, leftOut(property, "The feature %s is left out: %s has not both %s and install.sh, or leads out of the repository. Add them.", keepShort(f.ID), keepShort(one.dir), featureFile)
		}
		return one, nil, leftOut(property, "The feature %s is left out: it is not known to this node. Copy it into the repository as ./…, or have the operator put it into the node's folder of features as %s.", keepShort(f.ID), keepShort(one.dir))
	}
	said, err := load(one.root, path.Join(one.dir, featureFile))
	if err != nil {
		return one, nil, err
	}
	c := &checker{source: "the feature " + keepShort(f.ID), vars: vars}
	c.common(said, &one.Config)
	one.Options = c.chosen(said["options"], f.Options)
	one.name, _ = c.text("id", said["id"])
	one.after = c.after(said)
	return one, c.findings, nil
}

// cachePath is where a feature is in a node's folder of features: its ID, and its version as a folder below.
func cachePath(id string) string {
	version := strings.TrimPrefix(id[len(plainID(id)):], ":")
	return path.Join(strings.ReplaceAll(plainID(id), ":", "_"), or(version, "latest"))
}

var optionName = regexp.MustCompile(`[^A-Z0-9_]`)

// chosen are the options by the names that install.sh has for them: what is asked for, else the feature's defaults.
func (c *checker) chosen(raw json.RawMessage, asked map[string]any) map[string]string {
	var declared map[string]struct {
		Default any `json:"default"`
	}
	if raw != nil && json.Unmarshal(raw, &declared) != nil {
		c.mistyped("options", "an object of options")
	}
	all := map[string]any{}
	for name, one := range declared {
		if one.Default != nil {
			all[name] = one.Default
		}
	}
	maps.Copy(all, asked)
	found := map[string]string{}
	for name, value := range all {
		name = strings.TrimLeft(optionName.ReplaceAllString(strings.ToUpper(name), "_"), "0123456789_")
		if name != "" && name != "PATH" && !strings.HasPrefix(name, "LD_") {
			found[name] = fmt.Sprint(value)
		}
	}
	return found
}

// after are the features that are to be installed before this one, if they are at all.
func (c *checker) after(said properties) []string {
	var after []string
	var depends map[string]json.RawMessage
	if raw := said["installsAfter"]; raw != nil && json.Unmarshal(raw, &after) != nil {
		c.mistyped("installsAfter", "a list of features")
	}
	if raw := said["dependsOn"]; raw != nil && json.Unmarshal(raw, &depends) != nil {
		c.mistyped("dependsOn", "an object of features")
	}
	return append(after, slices.Sorted(maps.Keys(depends))...)
}

// ordered moves each feature behind those that it is to come after, and leaves the order as it is otherwise. Those that wait
// for each other stay as they are.
func ordered(all []LoadedFeature) []LoadedFeature {
	var done []LoadedFeature
	for left := all; len(left) > 0; {
		next := slices.IndexFunc(left, func(one LoadedFeature) bool {
			return !slices.ContainsFunc(left, func(other LoadedFeature) bool { return other.ID != one.ID && one.waitsFor(other) })
		})
		next = max(next, 0)
		done = append(done, left[next])
		left = slices.Delete(slices.Clone(left), next, next+1)
	}
	return done
}

func (f LoadedFeature) waitsFor(other LoadedFeature) bool {
	return slices.ContainsFunc(f.after, func(id string) bool { return plainID(id) == plainID(other.ID) || id == other.name })
}

// files opens the feature's folder.
func (f LoadedFeature) files() (*os.Root, error) {
	dir, err := f.root.OpenRoot(f.dir)
	if err != nil && escapes(err) {
		return nil, outside("features."+keepShort(f.ID), f.dir)
	}
	return dir, err
}
