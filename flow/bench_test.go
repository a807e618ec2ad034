package flow

import "testing"

func BenchmarkNewProgram(b *testing.B) {
	p := planWith("slots.count + 1", "size(vars.hits) > 0", "slots.name", "vars.hits[0].sku", "ctx.turns < 30 && slots.more")
	for b.Loop() {
		if _, err := NewProgram(p); err != nil {
			b.Fatal(err)
		}
	}
}
