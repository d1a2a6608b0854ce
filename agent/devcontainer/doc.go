// Package devcontainer reads a repository's devcontainer.json and says what of it a workspace is given. It decides and
// plans; it asks no engine, runs nothing, and opens files only through an os.Root of the tree that it is given.
//
// # What is honoured
//
// check.go has the list of properties that are. Whatever is not on it is either refused, because it would reach beyond the
// container, or ignored, because it means nothing here; both are Findings, which a person is shown. The list is the same
// wherever a property stands: in devcontainer.json, in the label that an image carries (label.go), or in a feature
// (feature.go). A property that is refused is left out and the rest goes on, unless nothing sensible would be left: then the
// error is an *UnusableError, and the workspace is made without the configuration.
//
// # What is planned
//
// Plan (dockerfile.go, context.go, layer.go) is an image to be built: a Dockerfile and the context that it may see, packed
// by this package through the same os.Root, so that no link leads out of the tree.
package devcontainer
