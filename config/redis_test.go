package config_test

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"sam/config"
)

func TestRedisIsOneServerOrSentinelsOrACluster(t *testing.T) {
	for text, want := range map[string]config.Redis{
		"": {Mode: "single", Address: "127.0.0.1:6379", Replicas: "auto"},
		"  mode: sentinel\n  addresses: [\"a:1\", 'b:2']\n  sentinel_master: sam\n  sentinel_username: s\n  sentinel_password_file: sp\n  username: u\n": {
			Mode: "sentinel", Address: "127.0.0.1:6379", Addresses: []string{"a:1", "b:2"}, SentinelMaster: "sam", SentinelUsername: "s",
			SentinelPasswordFile: "DIR/sp", Username: "u", Replicas: "auto"},
		"  mode: cluster\n  addresses:\n    - a:1\n    - b:2\n  tls: true\n  ca_file: ca.pem\n  replicas: 2\n": {
			Mode: "cluster", Address: "127.0.0.1:6379", Addresses: []string{"a:1", "b:2"}, TLS: true, CAFile: "DIR/ca.pem", Replicas: "2"},
	} {
		path := write(t, whole+"redis:\n"+text)
		got, err := config.Load(path, nil)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		for _, file := range []*string{&want.CAFile, &want.SentinelPasswordFile} {
			*file = strings.Replace(*file, "DIR", filepath.Dir(path), 1)
		}
		if !reflect.DeepEqual(got.Redis, want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", text, got.Redis, want)
		}
	}
	got, err := config.Load(write(t, whole), []string{"SAM_REDIS_MODE=cluster", "SAM_REDIS_ADDRESSES=a:1, b:2,"})
	if err != nil || !reflect.DeepEqual(got.Redis.Addresses, []string{"a:1", "b:2"}) {
		t.Errorf("by the environment: %+v, %v", got.Redis, err)
	}
	for replicas, want := range map[string]int{"auto": -1, "0": 0, "2": 2, "": -1} {
		if got := (config.Redis{Replicas: replicas}).WantedReplicas(); got != want {
			t.Errorf("replicas %q are %d, want %d", replicas, got, want)
		}
	}
}

func TestWhatIsWrongWithRedisIsNamed(t *testing.T) {
	for text, want := range map[string]string{
		"  mode: ring\n":                                      `FILE:6: redis.mode: "ring" is none of single, sentinel, cluster`,
		"  addresses: [\"a:1\"]\n":                            "FILE:6: redis.addresses: is for redis.mode sentinel and cluster; a single Redis has redis.address",
		"  mode: cluster\n":                                   "FILE: redis.addresses: is missing: redis.mode cluster needs host:port of at least one of them",
		"  mode: cluster\n  addresses: [a]\n":                 `FILE:7: redis.addresses: "a" is not host:port`,
		"  mode: cluster\n  addresses: [1]\n":                 "FILE:7: redis.addresses: what stands here is not a list of texts",
		"  mode: cluster\n  addresses: a:1\n  address: [a]\n": "FILE:8: redis.address: what stands here is not a text",
		"  mode: sentinel\n  addresses: [\"a:1\"]\n":          "FILE: redis.sentinel_master: is missing: the name under which the Sentinels know the master",
		"  sentinel_master: sam\n":                            "FILE:6: redis.sentinel_master: is for redis.mode sentinel, and that is single",
		"  address: /run/redis\n  tls: true\n":                "FILE:7: redis.tls: is of no use on a unix socket",
		"  ca_file: ca.pem\n":                                 "FILE:6: redis.ca_file: is of no use without redis.tls",
		"  replicas: all\n":                                   `FILE:6: redis.replicas: "all" is neither auto nor a number from 0 to 9`,
		"  replicas: -1\n":                                    `FILE:6: redis.replicas: "-1" is neither auto nor a number from 0 to 9`,
	} {
		path := write(t, whole+"redis:\n"+text)
		_, err := config.Load(path, nil)
		if err == nil {
			t.Errorf("%s: taken", text)
			continue
		}
		if got := strings.ReplaceAll(err.Error(), path, "FILE"); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", text, got, want)
		}
	}
}
