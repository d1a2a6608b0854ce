package config_test

import (
	"fmt"
	"strings"
	"testing"

	"sam/config"
)

func TestProxiesAreAddressesAndRangesOfThem(t *testing.T) {
	path := write(t, whole+"public:\n  proxies: [10.0.0.2, 192.168.7.0/24, \"fd00:1::/64\", \"::1\"]\n")
	c, err := config.Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(c.Public.TrustedProxies()); got != "[10.0.0.2/32 192.168.7.0/24 fd00:1::/64 ::1/128]" {
		t.Errorf("they are %s", got)
	}
	if c, err = config.Load(write(t, whole), []string{"SAM_PUBLIC_PROXIES=10.0.0.2,10.0.0.3"}); err != nil || len(c.Public.TrustedProxies()) != 2 {
		t.Errorf("from the environment: %v, %v", c.Public.TrustedProxies(), err)
	}
	if c, err = config.Load(write(t, whole), nil); err != nil || len(c.Public.TrustedProxies()) != 0 {
		t.Errorf("of none: %v, %v", c.Public.TrustedProxies(), err)
	}
}

func TestWhatIsNoProxyIsNamed(t *testing.T) {
	for entry, want := range map[string]string{
		"proxy.example.com":       `"proxy.example.com" is neither an address nor a range`,
		"10.0.0.2:443":            `"10.0.0.2:443" is neither an address nor a range`,
		"fe80::1%eth0":            `"fe80::1%eth0" is neither an address nor a range`,
		"fe80::%eth0/64":          "is neither an address nor a range",
		"10.0.0.0/33":             "is neither an address nor a range",
		"":                        `"" is neither an address nor a range`,
		"10.0.0.7/24":             `"10.0.0.7/24" has more digits than its length says: it would be 10.0.0.0/24`,
		"0.0.0.0/0":               `"0.0.0.0/0" is too wide`,
		"::/0":                    `"::/0" is too wide`,
		"::ffff:10.0.0.2":         "write it as IPv4",
		"::ffff:10.0.0.0/104":     "write it as IPv4",
		"2001::/8":                "has more digits",
		"128.0.0.0/1":             `"128.0.0.0/1" is too wide`,
		"10.0.0.0/8, 192.168.0.1": "is neither an address nor a range",
	} {
		path := write(t, whole+"public:\n  proxies: [10.0.0.2, \""+entry+"\"]\n")
		if _, err := config.Load(path, nil); err == nil || !strings.Contains(err.Error(), path+":6: public.proxies: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", entry, err, want)
		}
	}
}
