package github

import (
	"fmt"
	"strconv"
	"strings"
)

// maxBand is how much one packet of the side band may carry, in bytes.
const maxBand = 65515

// explain puts reasons into the report at the end of a push, where git says just
// "hook declined". What does not look like a report is left as it is.
func explain(answer []byte, reasons map[string]string) []byte {
	if len(reasons) == 0 {
		return answer
	}
	packets, ok := readPackets(answer)
	if !ok || len(packets) == 0 {
		return answer
	}
	if first := packets[0]; first == "" || first[0] > 3 {
		return writePackets(reworded(packets, reasons))
	}
	// With the side band the report is a stream of packets inside band 1; band 2
	// is what people read.
	var others []string
	report := ""
	for _, p := range packets {
		if p[0] == 1 {
			report += p[1:]
		} else {
			others = append(others, p)
		}
	}
	lines, ok := readPackets([]byte(report))
	if !ok {
		return answer
	}
	report = string(writePackets(reworded(lines, reasons)))
	for len(report) > 0 {
		n := min(len(report), maxBand)
		others = append(others, "\x01"+report[:n])
		report = report[n:]
	}
	return writePackets(others)
}

func reworded(lines []string, reasons map[string]string) []string {
	for i, line := range lines {
		rest, refused := strings.CutPrefix(line, "ng ")
		if !refused {
			continue
		}
		ref, _, _ := strings.Cut(rest, " ")
		if reason, has := reasons[ref]; has {
			lines[i] = "ng " + ref + " " + reason + "\n"
		}
	}
	return lines
}

// readPackets reads pkt-lines up to the flush packet. Each packet has at least
// one byte.
func readPackets(data []byte) (packets []string, ok bool) {
	for len(data) >= 4 {
		n, err := strconv.ParseUint(string(data[:4]), 16, 16)
		switch {
		case err != nil || n == 4 || int(n) > len(data):
			return nil, false
		case n == 0:
			return packets, true
		case n < 4:
			return nil, false
		}
		packets = append(packets, string(data[4:n]))
		data = data[n:]
	}
	return packets, len(data) == 0
}

func writePackets(packets []string) []byte {
	var out strings.Builder
	for _, p := range packets {
		fmt.Fprintf(&out, "%04x%s", len(p)+4, p)
	}
	out.WriteString("0000")
	return []byte(out.String())
}
