package config

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

func (r Redis) check() []Error {
	var wrong []Error
	need := func(key, value, why string) {
		if value == "" {
			wrong = append(wrong, Error{key, why})
		}
	}
	switch r.Mode {
	case "single":
		need("redis.address", r.Address, "is missing")
		if len(r.Addresses) > 0 {
			wrong = append(wrong, Error{"redis.addresses", "is for redis.mode sentinel and cluster; a single Redis has redis.address"})
		}
	case "sentinel", "cluster":
		if len(r.Addresses) == 0 {
			wrong = append(wrong, Error{"redis.addresses", "is missing: redis.mode " + r.Mode + " needs host:port of at least one of them"})
		}
		for _, address := range r.Addresses {
			if _, _, err := net.SplitHostPort(address); err != nil {
				wrong = append(wrong, Error{"redis.addresses", fmt.Sprintf("%q is not host:port", address)})
			}
		}
	default:
		wrong = append(wrong, Error{"redis.mode", fmt.Sprintf("%q is none of single, sentinel, cluster", r.Mode)})
	}
	if r.Mode == "sentinel" {
		need("redis.sentinel_master", r.SentinelMaster, "is missing: the name under which the Sentinels know the master")
	} else if r.SentinelMaster != "" {
		wrong = append(wrong, Error{"redis.sentinel_master", "is for redis.mode sentinel, and that is " + r.Mode})
	}
	if strings.HasPrefix(r.Address, "/") && r.Mode == "single" && r.TLS {
		wrong = append(wrong, Error{"redis.tls", "is of no use on a unix socket"})
	}
	if r.CAFile != "" && !r.TLS {
		wrong = append(wrong, Error{"redis.ca_file", "is of no use without redis.tls"})
	}
	if n, err := strconv.Atoi(r.Replicas); r.Replicas != "auto" && (err != nil || n < 0 || n > 9) {
		wrong = append(wrong, Error{"redis.replicas", fmt.Sprintf("%q is neither auto nor a number from 0 to 9", r.Replicas)})
	}
	return wrong
}

// WantedReplicas is Replicas as a number; -1 for auto.
func (r Redis) WantedReplicas() int {
	n, err := strconv.Atoi(r.Replicas)
	if err != nil {
		return -1
	}
	return n
}
