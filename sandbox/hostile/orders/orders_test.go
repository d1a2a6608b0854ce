package orders_test

import (
	"reflect"
	"strings"
	"testing"

	"sam/sandbox/hostile/orders"
)

func TestOrdersAreFoundInAPromptAsTheyWereGiven(t *testing.T) {
	given := orders.Orders{Attempts: []string{"push-main", "flood"}, Targets: map[string]string{"host": "192.0.2.1:80"}, Amount: 1 << 40, Own: "canary"}
	words, err := given.Request()
	if err != nil {
		t.Fatal(err)
	}
	found, err := orders.Find("You work in a clone.\n\nada asks:\n\n" + words + "\n\nDo it.")
	if err != nil || !reflect.DeepEqual(found, given) {
		t.Errorf("%+v, %v", found, err)
	}
	for _, prompt := range []string{"", "Do it.", "carry out orders-e30!!", strings.Replace(words, "orders-", "orders-A", 1)} {
		if found, err := orders.Find(prompt); err == nil && len(found.Attempts) > 0 {
			t.Errorf("%q holds %+v", prompt, found)
		}
	}
}

func TestAReportIsReadAsItWasWrittenAndNothingElseIs(t *testing.T) {
	given := orders.Report{Attempt: "flood", Ran: true, Said: "a `quoted` word\nand a line", Loot: []string{"x"}}
	if read, is := orders.Read(orders.Write(given)); !is || !reflect.DeepEqual(read, given) {
		t.Errorf("%+v", read)
	}
	if _, is := orders.Read("I report `nothing`"); is {
		t.Error("an agent's other words are a report")
	}
}
