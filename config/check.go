package config

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// check gives what does not go together among the settings of a command, and what
// it cannot do without. Settings that are wrong by themselves are left out: what
// else is said of them would be an echo.
func (c *Config) check(cmd Command, wrong map[string]bool) []Fault {
	if cmd == Any {
		return nil
	}
	reads := map[string]bool{}
	for _, s := range c.settings {
		reads[s.Key] = s.ReadBy(cmd) && !wrong[s.Key]
	}
	var faults []Fault
	// fault is about settings that the command reads, and names the first.
	fault := func(is bool, keys []string, format string, args ...any) {
		if is && !slices.ContainsFunc(keys, func(k string) bool { return !reads[k] }) {
			faults = append(faults, Fault{c.where(keys[0]), fmt.Sprintf(format, args...)})
		}
	}
	of := func(keys ...string) []string { return keys }

	if cmd == Gateway {
		fault(c.KioskKey == "", of("kiosk_key"), "%s", missing("kiosk_key", hexKeys))
	}
	if cmd == Gateway || cmd == Worker {
		fault(c.MediaToken == "", of("media_token"), "%s", missing("media_token", token))
	}
	fault(c.StaffToken != "" && c.StaffToken == c.EventsToken, of("staff_token", "events_token"),
		"it is the same as events_token; whoever has one must not have the other")
	fault(cmd == Gateway && c.Drain > 30*time.Second, of("drain"), "a gateway waits for at most 30s, so that a kiosk that will not go holds nothing up")

	hears := cmd == Gateway || cmd == Worker && (len(c.Pools) == 0 || slices.Contains(c.Pools, "stt") || slices.Contains(c.Pools, "tts"))
	fault(hears && c.Speech == "", of("speech"), "not set; name the speech server that hears and speaks, such as http://localhost:8000")
	thinks := cmd == Dev || cmd == Worker && (len(c.Pools) == 0 || slices.Contains(c.Pools, "llm"))
	fault(thinks && c.LLM == "openai" && c.LLMURL == "", of("llm", "llm_url"), "openai needs llm_url, such as http://localhost:8000")
	fault(thinks && c.LLM == "openai" && c.LLMModel == "", of("llm", "llm_model"), "openai needs llm_model, the name by which the server knows its model")
	fault(c.LLM == "ollama" && c.Ollama == "", of("llm", "ollama"), "ollama needs the setting ollama, such as http://localhost:11434")
	fault(c.Embed == "ollama" && c.Ollama == "", of("embed", "ollama"), "ollama needs the setting ollama, such as http://localhost:11434")

	for key, url := range map[string]string{"speech": c.Speech, "llm_url": c.LLMURL} {
		fault(strings.HasSuffix(strings.TrimSuffix(url, "/"), "/v1"), of(key), "%q: write it without /v1, which is added", url)
	}

	fault((c.Deployment == "") != (c.BuildID == ""), of("deployment", "build_id"), "deployment and build_id go together: set both, or neither")
	fault((c.TemporalTLSCert == "") != (c.TemporalTLSKey == ""), of("temporal_tls_cert", "temporal_tls_key"),
		"temporal_tls_cert and temporal_tls_key go together: set both, or neither")
	if !c.TemporalTLS {
		for key, set := range map[string]bool{
			"temporal_tls_ca": c.TemporalTLSCA != "", "temporal_tls_cert": c.TemporalTLSCert != "",
			"temporal_server_name": c.TemporalServerName != "", "temporal_api_key": c.TemporalAPIKey != "",
		} {
			fault(set, of(key, "temporal_tls"), "it needs temporal_tls: true")
		}
	}
	slices.SortStableFunc(faults, func(a, b Fault) int { return strings.Compare(a.Where, b.Where) })
	return faults
}

// missing says that a secret is not there.
func missing(key string, f form) string {
	return fmt.Sprintf("not set; put %s (%s) into %s, or into a file that %s_file names", f.what, f.like, prefix+strings.ToUpper(key), key)
}
