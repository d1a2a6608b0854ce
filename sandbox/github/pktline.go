package github

import (
	"bytes"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"
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

// readPackets reads pkt-lines up to the flush packet.
func readPackets(data []byte) (packets []string, ok bool) {
	scanner := pktline.NewScanner(bytes.NewReader(data))
	for scanner.Scan() {
		if len(scanner.Bytes()) == 0 {
			return packets, true
		}
		packets = append(packets, string(scanner.Bytes()))
	}
	return packets, scanner.Err() == nil
}

// writePackets writes pkt-lines and a flush packet.
func writePackets(packets []string) []byte {
	var out bytes.Buffer
	encoder := pktline.NewEncoder(&out)
	err := encoder.EncodeString(packets...)
	if err == nil {
		err = encoder.Flush()
	}
	if err != nil { // a buffer takes all, and no packet is longer than one that was read
		panic(err)
	}
	return out.Bytes()
}
