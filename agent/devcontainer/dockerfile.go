package devcontainer

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Dockerfile is one that has been read and written anew: each instruction on one line, and images by the names that
// they will have. What an engine reads is so exactly what was checked.
type Dockerfile struct {
	Text   []byte
	Images []string // that it needs, without its own stages
	Copies bool     // it has instructions that take files of the context
}

// ReadDockerfile reads and checks a Dockerfile of the tree. The error is an *UnusableError.
func ReadDockerfile(tree *os.Root, b Build) (Dockerfile, error) {
	if err := b.ExistsWithin(tree); err != nil {
		return Dockerfile{}, err
	}
	data, err := readFile(tree, b.Dockerfile, maxFile)
	if err != nil {
		return Dockerfile{}, failedWhole("build.dockerfile", "%s cannot be read: %s. Mend the file.", b.Dockerfile, plain(err))
	}
	return parseDockerfile(string(data), b.Args)
}

// scan goes through a Dockerfile's instructions.
type scan struct {
	args   map[string]string // of before the first FROM, as they are given or by default
	given  map[string]string
	stages []string
	from   bool // the first FROM is behind
	out    Dockerfile
}

func parseDockerfile(text string, given map[string]string) (Dockerfile, error) {
	instructions, escape, err := logicalLines(text)
	if err != nil {
		return Dockerfile{}, err
	}
	s := &scan{args: map[string]string{}, given: given}
	var lines []string
	if escape != '\\' {
		lines = append(lines, "# escape="+string(escape))
	}
	for _, one := range instructions {
		line, err := s.instruction(one)
		if err != nil {
			return Dockerfile{}, err
		}
		lines = append(lines, line)
	}
	if !s.from {
		return Dockerfile{}, failedWhole("build.dockerfile", "The Dockerfile has no FROM. Add one.")
	}
	s.out.Text = []byte(strings.Join(lines, "\n") + "\n")
	return s.out, nil
}

var directive = regexp.MustCompile(`^#\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.+?)\s*$`)

// logicalLines joins what is continued, as an engine does, and leaves comments out.
func logicalLines(text string) (found []string, escape byte, err error) {
	escape = '\\'
	lines := strings.Split(strings.TrimPrefix(text, "\ufeff"), "\n")
	top, open := true, false
	current := ""
	for i := range lines {
		line := strings.TrimSuffix(lines[i], "\r")
		trimmed := strings.TrimLeft(line, " \t\v\f\r\u0085\u00a0")
		parts := directive.FindStringSubmatch(trimmed)
		if top = top && parts != nil; top {
			if strings.EqualFold(parts[1], "escape") && (parts[2] == "`" || parts[2] == `\`) {
				escape = parts[2][0]
			}
			continue
		}
		if trimmed == "" || trimmed[0] == '#' {
			continue // within what is continued, too
		}
		if !open {
			line = trimmed
		}
		bare := strings.TrimRight(line, " \t")
		if strings.HasSuffix(bare, string(escape)+string(escape)) {
			return nil, 0, failedWhole("build.dockerfile", "A line of the Dockerfile ends in %c%c, which engines do not read alike. Write it otherwise: %q", escape, escape, keepShort(bare))
		}
		if open = strings.HasSuffix(bare, string(escape)); open {
			current += bare[:len(bare)-1]
			continue
		}
		found, current = append(found, current+line), ""
	}
	if strings.TrimSpace(current) != "" {
		found = append(found, current)
	}
	return found, escape, nil
}

// What an engine takes for blanks and for letters is more than what is written as such. An instruction and its flags are read
// where there is one way to read them.
var (
	keyword   = regexp.MustCompile(`^[A-Za-z]+$`)
	plainFlag = regexp.MustCompile(`^--[A-Za-z-]+(=[!-~]*)?$`)
)

// flag is one without its quotes.
func flag(said string) (string, error) {
	if plain := unquoted(said); plainFlag.MatchString(plain) {
		return plain, nil
	}
	return "", failedWhole("build.dockerfile", "A flag in the Dockerfile is not understood: %q. Write it as --name=value, in ASCII and with single blanks around it.", keepShort(said))
}

// instruction checks one and returns it as the engine shall read it.
func (s *scan) instruction(line string) (string, error) {
	word, rest := cutWord(line)
	if !keyword.MatchString(word) {
		return "", failedWhole("build.dockerfile", "A line of the Dockerfile begins with no instruction: %q. Write one in ASCII, with a blank after it.", keepShort(word))
	}
	switch strings.ToUpper(word) {
	case "ARG":
		if !s.from {
			s.global(rest)
		}
	case "FROM":
		return s.stage(rest)
	case "ADD", "COPY":
		return line, s.copies(strings.ToUpper(word), rest)
	case "ONBUILD":
		if inner, _ := cutWord(rest); strings.EqualFold(inner, "FROM") {
			return "", failedWhole("build.dockerfile", "The Dockerfile has an ONBUILD FROM, which no engine takes. Remove it.")
		}
		_, err := s.instruction(rest)
		return line, err
	}
	return line, nil
}

func cutWord(line string) (word, rest string) {
	line = strings.TrimSpace(line)
	if i := strings.IndexAny(line, " \t\v\f"); i >= 0 {
		return line[:i], strings.TrimSpace(line[i:])
	}
	return line, ""
}

// global notes an ARG that a FROM may use.
func (s *scan) global(rest string) {
	for _, pair := range strings.Fields(rest) {
		name, value, _ := strings.Cut(pair, "=")
		if given, ok := s.given[name]; ok {
			value = given
		} else if expanded, err := s.expand(unquoted(value)); err == nil {
			value = expanded
		}
		s.args[name] = value
	}
}

func unquoted(text string) string {
	return strings.NewReplacer(`"`, "", `'`, "", `\`, "", "`", "").Replace(text)
}

var argument = regexp.MustCompile(`\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)(?::([-+])([^{}$]*))?\})`)

func (s *scan) expand(text string) (string, error) {
	expanded := argument.ReplaceAllStringFunc(text, func(whole string) string {
		parts := argument.FindStringSubmatch(whole)
		value := s.args[parts[1]+parts[2]]
		switch {
		case parts[3] == "-" && value == "", parts[3] == "+" && value != "":
			return parts[4]
		}
		return value
	})
	if strings.ContainsRune(expanded, '$') {
		return "", fmt.Errorf("it cannot be told what %q means", keepShort(text))
	}
	return expanded, nil
}

// stage is a FROM, with its image's name written out.
func (s *scan) stage(rest string) (string, error) {
	s.from = true
	var flags []string
	words := strings.Fields(rest)
	for len(words) > 0 && strings.HasPrefix(words[0], "--") {
		plain, err := flag(words[0])
		if err != nil {
			return "", err
		}
		flags, words = append(flags, plain), words[1:]
	}
	if len(words) != 1 && !(len(words) == 3 && strings.EqualFold(words[1], "as")) {
		return "", failedWhole("build.dockerfile", "A FROM of the Dockerfile is not understood: %q. Write FROM IMAGE, or FROM IMAGE AS NAME.", keepShort(rest))
	}
	image, err := s.expand(unquoted(words[0]))
	if err != nil {
		return "", failedWhole("build.dockerfile", "A FROM of the Dockerfile is not understood: %s. Give the ARG that it uses a default.", err)
	}
	if image != "scratch" && !slices.Contains(s.stages, strings.ToLower(image)) {
		if err := s.need(image); err != nil {
			return "", err
		}
	}
	if len(words) == 3 {
		s.stages = append(s.stages, strings.ToLower(words[2]))
	}
	words[0] = image
	return "FROM " + strings.Join(append(flags, words...), " "), nil
}

func (s *scan) need(image string) error {
	if err := CheckImage(image); err != nil {
		return err
	}
	if !slices.Contains(s.out.Images, image) {
		s.out.Images = append(s.out.Images, image)
	}
	return nil
}

// copies checks an ADD or COPY. An ADD of an address is refused: the engine would fetch it by itself, past the network
// that a build is given, from wherever the node can reach.
func (s *scan) copies(word, rest string) error {
	for strings.HasPrefix(rest, "--") {
		var said string
		said, rest = cutWord(rest)
		plain, err := flag(said)
		if err != nil {
			return err
		}
		from, ok := strings.CutPrefix(strings.ToLower(plain), "--from=")
		if !ok || word != "COPY" {
			continue
		}
		from = plain[len(plain)-len(from):]
		if _, err := strconv.Atoi(from); err == nil || slices.Contains(s.stages, strings.ToLower(from)) {
			return nil
		}
		if strings.ContainsRune(from, '$') {
			return failedWhole("build.dockerfile", "A COPY of the Dockerfile copies from %q: write out which stage or image that is.", keepShort(from))
		}
		return s.need(from)
	}
	s.out.Copies = true
	if word == "COPY" {
		return nil
	}
	sources := strings.Fields(rest)
	var list []string
	if json.NewDecoder(strings.NewReader(rest)).Decode(&list) == nil { // whatever stands behind it: some engines do not look
		sources = append(sources, list...)
	}
	for _, source := range sources {
		if mayBeAddress(unquoted(source)) {
			return refusedWhole("build.dockerfile", "The Dockerfile adds %q, which the engine would fetch past the workspace's network. "+
				"Fetch it in a RUN or in a lifecycle command, or put the file into the repository.", keepShort(source))
		}
	}
	return nil
}

// CheckTriggers checks what an image has a build do that is made from it: its ONBUILD. The error is an *UnusableError.
func CheckTriggers(image string, triggers []string) error {
	s := &scan{args: map[string]string{}, from: true}
	for _, line := range triggers {
		if _, err := s.instruction(line); err != nil {
			return refusedWhole("image", "The image %s cannot be built on, for its ONBUILD: %s", keepShort(image), err)
		}
	}
	if len(s.out.Images) > 0 { // which the engine would fetch by itself, from wherever it is
		return refusedWhole("image", "The image %s cannot be built on, for its ONBUILD copies from another image: %s. Name that image in a Dockerfile of the repository.", keepShort(image), keepShort(s.out.Images[0]))
	}
	return nil
}

// mayBeAddress reports whether a source of an ADD is an address, or may become one when its variables are known.
func mayBeAddress(source string) bool {
	head, _, variables := strings.Cut(strings.ToLower(source), "$")
	if strings.Contains(head, "://") || strings.HasPrefix(head, "git@") {
		return true
	}
	return variables && slices.ContainsFunc([]string{"https://", "http://", "git://", "ssh://", "git@"}, func(whole string) bool { return beginning(whole, head) })
}

// beginning reports whether a text that begins so may go on to be the whole.
func beginning(whole, head string) bool {
	return len(head) <= len(whole) && whole[:len(head)] == head
}
