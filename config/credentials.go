package config

import (
	"encoding/base64"
	"fmt"
	"strings"
)

// RegistryCredential is what one private registry asks for.
type RegistryCredential struct {
	Host          string // with :port when it is not 443's
	Path          string // under which it is used, "/" for everything; it begins and ends with a slash
	Authorization string // the header's value
}

// Credentials reads a file of private registries' credentials. Each line is one of
//
//	HOST[/PATH] basic USER PASSWORD
//	HOST[/PATH] bearer TOKEN
//
// and empty, or a comment behind a #. The error names the line and never holds what a line says behind its second word; a file
// that others may read is refused, as SecretFile says. An empty path is no file and no credentials.
func (n Network) Credentials() ([]RegistryCredential, error) {
	const key = "network.credentials_file"
	if n.CredentialsFile == "" {
		return nil, nil
	}
	data, err := SecretFile(key, n.CredentialsFile)
	if err != nil {
		return nil, err
	}
	var all []RegistryCredential
	seen := map[string]bool{}
	for i, line := range strings.Split(string(data), "\n") {
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		one, why := credential(words)
		if why == "" && seen[one.Host+one.Path] {
			why = words[0] + " is there already"
		}
		if why != "" {
			return nil, Error{key, fmt.Sprintf("%s:%d: %s", n.CredentialsFile, i+1, why)}
		}
		seen[one.Host+one.Path] = true
		all = append(all, one)
	}
	return all, nil
}

// credential reads the words of a line, or says why they are none.
func credential(words []string) (c RegistryCredential, why string) {
	host, path, _ := strings.Cut(words[0], "/")
	c.Host, c.Path = host, "/"
	if path = strings.Trim(path, "/"); path != "" {
		c.Path = "/" + path + "/"
	}
	if why := notInternal(host); why != "" {
		return c, why
	}
	switch {
	case strings.ContainsAny(path, `%\?#`) || strings.Contains("/"+path+"/", "/../") || strings.Contains("/"+path+"/", "/./"):
		return c, fmt.Sprintf("%q is no path of a registry", path)
	case len(words) == 4 && words[1] == "basic" && !strings.Contains(words[2], ":"):
		c.Authorization = "Basic " + base64.StdEncoding.EncodeToString([]byte(words[2]+":"+words[3]))
	case len(words) == 3 && words[1] == "bearer":
		c.Authorization = "Bearer " + words[2]
	default:
		return c, "is neither HOST basic USER PASSWORD nor HOST bearer TOKEN"
	}
	return c, ""
}
