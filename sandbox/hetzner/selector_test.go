package hetzner

import "testing"

func TestASelectorPicksByLabels(t *testing.T) {
	labels := map[string]string{"env": "prod", "sam.example/id": "7", "bare": ""}
	for text, want := range map[string]bool{
		"":                                   true,
		"env":                                true,
		"!env":                               false,
		"none":                               false,
		"!none":                              true,
		"env=prod":                           true,
		"env==prod":                          true,
		"env = prod":                         true,
		"env=test":                           false,
		"env!=test":                          true,
		"none!=test":                         true,
		"env!=prod":                          false,
		"bare=":                              true,
		"env in (test, prod)":                true,
		"env in (test)":                      false,
		"env notin (test)":                   true,
		"none notin (test)":                  true,
		"env notin (prod,test)":              false,
		"sam.example/id=7,env in (prod),!no": true,
		"sam.example/id=8,env in (prod),!no": false,
	} {
		s, err := parseSelector(text)
		if err != nil || s.match(labels) != want {
			t.Errorf("%q: %v, %v; want %v", text, s.match(labels), err, want)
		}
	}
	for _, text := range []string{",", "a,,b", "a=b=c", "in (a)", "a in b", "a in (b", "-a", "a=-b", "a b", "A/b/c", "!"} {
		if s, err := parseSelector(text); err == nil {
			t.Errorf("%q was read as %+v", text, s)
		}
	}
}

func FuzzASelectorIsReadOrRefused(f *testing.F) {
	for _, text := range []string{"a=b", "a in (b,c),!d", "a notin ()", "((", "a==", "!"} {
		f.Add(text)
	}
	f.Fuzz(func(_ *testing.T, text string) {
		if s, err := parseSelector(text); err == nil {
			s.match(map[string]string{"a": "b"})
		}
	})
}
