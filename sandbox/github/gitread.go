package github

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// gitCommit is a commit as git tells it. Times are as written, with their zone.
type gitCommit struct {
	sha, tree                  string
	parents                    []string
	authorName, authorEmail    string
	authored                   time.Time
	committerName, commitEmail string
	committed                  time.Time
	message                    string
}

// gitFile is one file of a diff. Patch starts at the first @@ and is empty for
// binary files and pure renames.
type gitFile struct {
	status             string // added, removed, modified, renamed, copied, changed
	sha                string
	path, from         string
	additions, removed int
	patch              string
}

const logFormat = "--format=%x01%H%x00%T%x00%P%x00%an%x00%ae%x00%aI%x00%cn%x00%ce%x00%cI%x00%B%x00"

// commits reads git log, newest first unless args say otherwise.
func commits(dir string, args ...string) ([]gitCommit, error) {
	out, err := runGit(dir, append([]string{"log", "--no-show-signature", logFormat}, args...)...)
	if err != nil {
		return nil, err
	}
	var list []gitCommit
	for _, record := range strings.Split(string(out), "\x01")[1:] {
		f := strings.Split(record, "\x00")
		if len(f) < 11 {
			return nil, fmt.Errorf("read git log: %d fields in a record", len(f))
		}
		authored, err1 := time.Parse(time.RFC3339, f[5])
		committed, err2 := time.Parse(time.RFC3339, f[8])
		if err := errors.Join(err1, err2); err != nil {
			return nil, fmt.Errorf("read git log: %w", err)
		}
		list = append(list, gitCommit{
			sha: f[0], tree: f[1], parents: strings.Fields(f[2]), authorName: f[3], authorEmail: f[4], authored: authored,
			committerName: f[6], commitEmail: f[7], committed: committed, message: strings.TrimRight(f[9], "\n"),
		})
	}
	return list, nil
}

func oneCommit(dir, sha string) (gitCommit, error) {
	list, err := commits(dir, "-1", sha)
	if err != nil {
		return gitCommit{}, err
	}
	return list[0], nil
}

// emptyTree is what a first commit is compared with.
const emptyTree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"

// changedFiles compares two commits or trees.
func changedFiles(dir, from, to string) ([]gitFile, error) {
	raw, err1 := runGit(dir, "diff", "-M", "--raw", "-z", "--no-abbrev", from, to)
	numbers, err2 := runGit(dir, "diff", "-M", "--numstat", "-z", from, to)
	text, err3 := diffText(dir, from, to)
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	files := parseRaw(string(raw))
	if err := addNumbers(files, string(numbers)); err != nil {
		return nil, err
	}
	patches := splitPatches(text)
	if len(patches) != len(files) {
		return nil, fmt.Errorf("read git diff: %d patches for %d files", len(patches), len(files))
	}
	for i := range files {
		files[i].patch = patches[i]
	}
	return files, nil
}

// diffText is the whole unified diff.
func diffText(dir, from, to string) ([]byte, error) {
	return runGit(dir, "diff", "-M", "--no-color", "--no-ext-diff", from, to)
}

// parseRaw reads `git diff --raw -z`: ":mode mode sha sha letter", then one path
// or, for renames and copies, two.
func parseRaw(raw string) []gitFile {
	var files []gitFile
	parts := strings.Split(raw, "\x00")
	for i := 0; i+1 < len(parts); i++ {
		f := strings.Fields(parts[i])
		if len(f) < 5 {
			break
		}
		i++
		file := gitFile{sha: f[3], path: parts[i], status: "modified"}
		switch f[4][0] {
		case 'A':
			file.status = "added"
		case 'D':
			file.status, file.sha = "removed", f[2]
		case 'T':
			file.status = "changed"
		case 'R', 'C':
			file.status = map[byte]string{'R': "renamed", 'C': "copied"}[f[4][0]]
			file.from = parts[i]
			i++
			file.path = parts[i]
		}
		files = append(files, file)
	}
	return files
}

// addNumbers reads `git diff --numstat -z`, which lists the same files in the
// same order; a rename has an empty path and then two more fields.
func addNumbers(files []gitFile, numbers string) error {
	parts := strings.Split(numbers, "\x00")
	at := 0
	for i := range files {
		if at >= len(parts) {
			return errors.New("read git diff --numstat: too few files")
		}
		f := strings.SplitN(parts[at], "\t", 3)
		if len(f) != 3 {
			return fmt.Errorf("read git diff --numstat: %q", parts[at])
		}
		at++
		if f[2] == "" {
			at += 2
		}
		if f[0] == "-" { // binary
			continue
		}
		var err1, err2 error
		files[i].additions, err1 = strconv.Atoi(f[0])
		files[i].removed, err2 = strconv.Atoi(f[1])
		if err := errors.Join(err1, err2); err != nil {
			return fmt.Errorf("read git diff --numstat: %w", err)
		}
	}
	return nil
}

// splitPatches cuts a diff into its files and takes off everything before the
// first @@. Lines of content never start with "diff": they have a mark first.
func splitPatches(text []byte) []string {
	var patches []string
	for i, section := range bytes.Split(append([]byte("\n"), text...), []byte("\ndiff --git ")) {
		if i == 0 {
			continue
		}
		patch := ""
		if at := bytes.Index(section, []byte("\n@@ ")); at >= 0 {
			patch = strings.TrimSuffix(string(section[at+1:]), "\n")
		}
		patches = append(patches, patch)
	}
	return patches
}

// treeEntry is one line of git ls-tree.
type treeEntry struct {
	mode, kind, sha, path string
	size                  int64
}

// listTree reads a tree's entries, or the entry that path names.
func listTree(dir, commit, path string) ([]treeEntry, error) {
	args := []string{"ls-tree", "-z", "-l", "--full-tree", commit}
	if path != "" {
		args = append(args, "--", path)
	}
	out, err := runGit(dir, args...)
	if err != nil {
		return nil, err
	}
	var list []treeEntry
	for line := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		meta, name, ok := strings.Cut(line, "\t")
		f := strings.Fields(meta)
		if !ok || len(f) != 4 {
			continue
		}
		size, _ := strconv.ParseInt(f[3], 10, 64) // "-" for trees: 0
		list = append(list, treeEntry{mode: f[0], kind: f[1], sha: f[2], path: name, size: size})
	}
	return list, nil
}

// mergeTree merges two commits without a working tree. clean is false when they
// conflict.
func mergeTree(dir, base, head string) (tree string, clean bool) {
	out, err := said(dir, "merge-tree", "--write-tree", "--no-messages", base, head)
	if err != nil {
		return "", false
	}
	return out, true
}
