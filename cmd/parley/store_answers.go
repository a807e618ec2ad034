package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/praesenz/parley/flow"
	"github.com/praesenz/parley/store"
)

const (
	// chartVersion is the version of the chart in helm/ and of the image that it
	// deploys.
	chartVersion = "0.1.0"
	// publicRegistry is where Parley's image and chart are published.
	publicRegistry = "ghcr.io"
	// usualTemporal, usualModel and usualIngress are the chart's defaults.
	usualTemporal = "temporal-frontend.temporal.svc.cluster.local:7233"
	usualModel    = "qwen2.5:14b"
	usualIngress  = "ingress-nginx"
	// nvidiaTaint is what the chart's GPU pods tolerate by themselves.
	nvidiaTaint = "nvidia.com/gpu:NoSchedule"
	// llmOpenAI is the answer for a language model on another server.
	llmOpenAI = "openai"
	// temporalDev is the answer for a Temporal server in one pod of the store's own.
	temporalDev = "dev"
)

// rings are the steps in which a change reaches a fleet of stores.
var rings = []string{"canary", "early", "broad"}

// storeAnswers are what a new store is made from, as they were given.
type storeAnswers struct {
	title, languages, kiosks, template, timeZone          string
	tool, ci, repo, server, ring                          string
	chart, chartVersion, registry, domain, vault          string
	gpus, gpuTaint, llm, llmURL, llmModel                 string
	temporal, ingressClass, ingressNamespace, avatarImage string
}

// A storeOption is one of the answers: a flag, and for most of them a question.
type storeOption struct {
	flag     string
	help     string
	question string        // empty: never asked
	answer   *string       // where it is kept
	usual    func() string // the default, which may depend on the answers above; nil or empty: none
	optional bool          // may be empty
	only     func() bool   // whether it is needed, given the answers above; nil: always
	check    func(string) error
}

// options are all answers, in the order in which they are asked for.
func (a *storeAnswers) options(name string) []storeOption {
	openAI := func() bool { return a.llm == llmOpenAI }
	always := func(text string) func() string { return func() string { return text } }
	return []storeOption{
		{flag: "title", help: "the store's name for people (default: made from NAME)", question: "The store's name for people", answer: &a.title, usual: func() string { return spoken(name) }, check: checkTitle},
		{flag: "languages", help: "its languages, the default first: " + strings.Join(newLanguages, ", ") + " (default en)", question: "Languages, the default first (" + strings.Join(newLanguages, ", ") + ")", answer: &a.languages, usual: always("en"), check: checkLanguages},
		{flag: "kiosks", help: "its kiosks, each ID or ID=NAME (default entrance)", question: "Kiosks, each ID or ID=NAME", answer: &a.kiosks, usual: always("entrance"), check: checkKiosks},
		{flag: "template", help: "what they talk: " + strings.Join(templateNames(), ", ") + " (default questions)", question: "What the kiosks talk (" + strings.Join(templateNames(), ", ") + ")", answer: &a.template, usual: always("questions"), check: oneOf(templateNames()...)},
		{flag: "time-zone", help: "its IANA time zone (default: this machine's)", question: "Time zone", answer: &a.timeZone, usual: store.MachineZone, check: checkZone},
		{flag: "domain", help: "DNS domain of the stores; kiosks open https://NAME.DOMAIN", question: "DNS domain of the stores (kiosks open https://" + name + ".DOMAIN)", answer: &a.domain, check: func(s string) error { return checkHost(name + "." + s) }},
		{flag: "gitops", help: "GitOps tool: fleet or argocd (default fleet)", question: "GitOps tool (fleet, argocd)", answer: &a.tool, usual: always("fleet"), check: oneOf("fleet", "argocd")},
		{flag: "repo", help: "Git address of the GitOps folder (default https://git.DOMAIN/NAME-gitops.git)", question: "Git address of the GitOps folder", answer: &a.repo, usual: func() string { return "https://git." + a.domain + "/" + name + "-gitops.git" }, check: checkRepo},
		{flag: "ci", help: "what runs the workflow: gitea or github (default gitea)", question: "CI (gitea, github)", answer: &a.ci, usual: always("gitea"), check: oneOf("gitea", "github")},
		{flag: "ring", help: "when the store gets changes: " + strings.Join(rings, ", ") + " (default broad)", question: "Ring (" + strings.Join(rings, ", ") + ")", answer: &a.ring, usual: always("broad"), check: oneOf(rings...)},
		{flag: "registry", help: "registry in place of every image's own, such as a store's mirror (default: none)", question: "Registry in place of every image's own (empty: none)", answer: &a.registry, optional: true, check: checkRegistry},
		{flag: "chart", help: "the chart's address: oci://… with its name, or https://… of a chart repository (default oci://REGISTRY/praesenz/charts/parley)", question: "Address of the Helm chart", answer: &a.chart, usual: func() string {
			return "oci://" + cmp.Or(a.registry, publicRegistry) + "/praesenz/charts/parley"
		}, check: checkChart},
		{flag: "chart-version", help: "the chart's version (default " + chartVersion + ")", question: "Version of the chart", answer: &a.chartVersion, usual: always(chartVersion), check: checkVersion},
		{flag: "vault", help: "Vault's address, where the secrets are (default https://vault.DOMAIN)", question: "Vault's address", answer: &a.vault, usual: func() string { return "https://vault." + a.domain }, check: checkURL},
		{flag: "temporal", help: "Temporal's HOST:PORT, or dev for a server of its own in one pod (default " + usualTemporal + ")", question: "Temporal's HOST:PORT, or dev for one pod of its own", answer: &a.temporal, usual: always(usualTemporal), check: checkTemporal},
		{flag: "gpus", help: "GPUs in the store's cluster; too few are shared (default 2)", question: "GPUs in the store's cluster", answer: &a.gpus, usual: always("2"), check: checkGPUs},
		{flag: "llm", help: "what answers: ollama in the store, openai (any server with its API), or extractive (quotes the knowledge) (default ollama, without GPUs extractive)", question: "What answers (ollama, openai, extractive)", answer: &a.llm, usual: func() string {
			if a.gpus == "0" {
				return "extractive"
			}
			return "ollama"
		}, check: oneOf("ollama", llmOpenAI, "extractive")},
		{flag: "llm-url", help: "for --llm openai: the server's address, without /v1", question: "The language model's server, without /v1", answer: &a.llmURL, only: openAI, check: checkURL},
		{flag: "llm-model", help: "the model that answers (default for ollama: " + usualModel + ")", question: "The model that answers", answer: &a.llmModel, only: func() bool { return a.llm != "extractive" }, usual: func() string {
			if openAI() {
				return ""
			}
			return usualModel
		}, check: checkModel},
		{flag: "gpu-taint", help: "taint of the store's nodes, KEY[=VALUE]:EFFECT (default " + nvidiaTaint + ")", question: "Taint of the store's nodes, KEY[=VALUE]:EFFECT", answer: &a.gpuTaint, usual: always(nvidiaTaint), check: func(s string) error { _, err := parseTaint(s); return err }},
		{flag: "ingress-class", help: "class of the ingress controller (default nginx)", answer: &a.ingressClass, usual: always("nginx"), check: checkLabel},
		{flag: "ingress-namespace", help: "namespace of the ingress controller (default: RKE2's kube-system for fleet, else " + usualIngress + ")", answer: &a.ingressNamespace, usual: func() string {
			if a.tool == "fleet" {
				return "kube-system"
			}
			return usualIngress
		}, check: checkLabel},
		{flag: "avatar-image", help: "image of a rendered avatar, REPOSITORY:TAG, one for each kiosk (default: the browser draws it)", answer: &a.avatarImage, optional: true, check: checkImage},
		{flag: "server", help: "for --gitops argocd: the cluster (default the one of ArgoCD)", answer: &a.server, usual: always("https://kubernetes.default.svc"), only: func() bool { return a.tool == "argocd" }, check: checkURL},
	}
}

// complete finds every answer: the one that was given, the one of last time, what
// a person answers, or the usual one. The error names every fault at once.
func (a *storeAnswers) complete(name string, given func(flag string) bool, last map[string]string, ask *dialogue) error {
	var faults []error
	for _, o := range a.options(name) {
		was, known := last[o.flag]
		usual := ""
		if o.usual != nil {
			usual = o.usual()
		}
		switch {
		case o.only != nil && !o.only():
			if given(o.flag) && *o.answer != "" {
				faults = append(faults, fmt.Errorf("--%s: it has no meaning with --llm %s and --gitops %s; leave it out", o.flag, a.llm, a.tool))
			}
			*o.answer = ""
			continue
		case given(o.flag):
		case known:
			*o.answer = was
		case ask != nil && o.question != "":
			answer, err := ask.ask(o, usual)
			if err != nil {
				return errors.Join(append(faults, err)...)
			}
			*o.answer = answer
			continue
		default:
			*o.answer = usual
		}
		if *o.answer == "" && !o.optional && usual == "" {
			faults = append(faults, fmt.Errorf("--%s: it is missing: %s", o.flag, o.help))
		} else if err := o.fault(*o.answer); err != nil {
			faults = append(faults, fmt.Errorf("--%s: %w", o.flag, err))
		}
	}
	return errors.Join(faults...)
}

func (o storeOption) fault(answer string) error {
	if answer == "" && o.optional {
		return nil
	}
	return o.check(answer)
}

// record is the answers by flag, for the next time.
func (a *storeAnswers) record(name string) map[string]string {
	answers := map[string]string{}
	for _, o := range a.options(name) {
		if *o.answer != "" || o.optional {
			answers[o.flag] = *o.answer
		}
	}
	return answers
}

// A dialogue asks a person.
type dialogue struct {
	in  *bufio.Reader
	out io.Writer
}

// ask asks until the answer can be taken.
func (d *dialogue) ask(o storeOption, usual string) (string, error) {
	for {
		hint := ""
		if usual != "" {
			hint = " [" + usual + "]"
		}
		if _, err := fmt.Fprintf(d.out, "%s%s: ", o.question, hint); err != nil {
			return "", err
		}
		line, err := d.in.ReadString('\n')
		if err != nil && (!errors.Is(err, io.EOF) || line == "") {
			return "", fmt.Errorf("no answer for --%s; give it as a flag, or --yes for what is usual: %w", o.flag, err)
		}
		answer := cmp.Or(strings.TrimSpace(line), usual)
		fault := o.fault(answer)
		if fault == nil {
			return answer, nil
		}
		if _, err := fmt.Fprintf(d.out, "  %s\n", fault); err != nil {
			return "", err
		}
	}
}

var (
	// A store's name is a namespace, a label and the beginning of objects' names.
	storeName = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$`)
	// A kiosk's is the end of an avatar's objects' names.
	kioskName    = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,18}[a-z0-9])?$`)
	hostName     = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	registryName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]*(:[0-9]{1,5})?(/[a-z0-9][a-z0-9._-]*)*$`)
	imageName    = regexp.MustCompile(`^([a-z0-9][a-z0-9.-]*(:[0-9]{1,5})?/)?[a-z0-9][a-z0-9._/-]*:[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)
	versionName  = regexp.MustCompile(`^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(-[0-9A-Za-z.-]+)?$`)
	labelName    = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$`)
	modelName    = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9._:/-]*$`)
	scpAddress   = regexp.MustCompile(`^[a-z_][a-z0-9_-]*@[a-zA-Z0-9.-]+:[a-zA-Z0-9._/~-]+$`)
	taintKey     = regexp.MustCompile(`^([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[a-zA-Z0-9]([a-zA-Z0-9._-]{0,61}[a-zA-Z0-9])?$`)
	taintValue   = regexp.MustCompile(`^([a-zA-Z0-9]([a-zA-Z0-9._-]{0,61}[a-zA-Z0-9])?)?$`)
	taintEffects = []string{"NoSchedule", "PreferNoSchedule", "NoExecute"}
)

func checkStoreName(name string) error {
	if !storeName.MatchString(name) {
		return fmt.Errorf("NAME: %q must be a letter and then at most 39 lower-case letters, digits and hyphens, not ending in a hyphen, like corner-shop, for it names a namespace", name)
	}
	return nil
}

func oneOf(choices ...string) func(string) error {
	return func(s string) error {
		if !slices.Contains(choices, s) {
			return fmt.Errorf("there is no %q%s; there is %s", s, flow.DidYouMean(s, choices), flow.Quoted(choices))
		}
		return nil
	}
}

func matches(pattern *regexp.Regexp, like string) func(string) error {
	return func(s string) error {
		if !pattern.MatchString(s) {
			return fmt.Errorf("%q must be like %s", s, like)
		}
		return nil
	}
}

var (
	checkRegistry = matches(registryName, "harbor.example or harbor.example:5000/library")
	checkVersion  = matches(versionName, "1.2.0")
	checkLabel    = matches(labelName, "nginx")
	checkModel    = matches(modelName, "qwen2.5:14b")
)

// checkImage refuses latest as the chart does: what runs would change by itself.
func checkImage(s string) error {
	if !imageName.MatchString(s) || strings.HasSuffix(s, ":latest") {
		return fmt.Errorf("%q must be an image with a tag that stays what it is, like praesenz/avatar:1.4.0", s)
	}
	return nil
}

func checkTitle(s string) error {
	if n := len([]rune(s)); n == 0 || n > 80 || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return fmt.Errorf("%q must be 1 to 80 letters, digits, signs and blanks", s)
	}
	return nil
}

func checkLanguages(s string) error {
	var faults []error
	langs := list(s)
	if len(langs) == 0 {
		faults = append(faults, errors.New("name at least one"))
	}
	for i, lang := range langs {
		if !slices.Contains(newLanguages, lang) {
			faults = append(faults, fmt.Errorf("the templates do not speak %q, only %s; add its prompts file yourself", lang, strings.Join(newLanguages, ", ")))
		} else if slices.Contains(langs[:i], lang) {
			faults = append(faults, fmt.Errorf("%q is there twice", lang))
		}
	}
	return errors.Join(faults...)
}

// list splits what commas part.
func list(s string) []string {
	var items []string
	for item := range strings.SplitSeq(s, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

// A newKiosk is a kiosk of a new store.
type newKiosk struct{ ID, Name string }

func parseKiosks(s string) []newKiosk {
	var kiosks []newKiosk
	for _, item := range list(s) {
		id, name, _ := strings.Cut(item, "=")
		id = strings.TrimSpace(id)
		kiosks = append(kiosks, newKiosk{id, cmp.Or(strings.TrimSpace(name), spoken(id))})
	}
	return kiosks
}

func checkKiosks(s string) error {
	var faults []error
	seen := map[string]bool{}
	for _, k := range parseKiosks(s) {
		if !kioskName.MatchString(k.ID) {
			faults = append(faults, fmt.Errorf("%q must be a letter and then at most 19 lower-case letters, digits and hyphens, like entrance", k.ID))
		} else if err := checkTitle(k.Name); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", k.ID, err))
		}
		if seen[k.ID] {
			faults = append(faults, fmt.Errorf("%q is there twice", k.ID))
		}
		seen[k.ID] = true
	}
	if len(seen) == 0 {
		faults = append(faults, errors.New("a store needs at least one"))
	}
	return errors.Join(faults...)
}

// spoken makes a name for people from an id: "Corner shop" from corner-shop.
func spoken(id string) string {
	words := strings.ReplaceAll(id, "-", " ")
	if words == "" {
		return ""
	}
	return strings.ToUpper(words[:1]) + words[1:]
}

func checkZone(s string) error {
	if _, err := time.LoadLocation(s); err != nil || s == "" || s == "Local" {
		return fmt.Errorf("%q is no time zone; write it like Europe/Berlin", s)
	}
	return nil
}

func checkHost(s string) error {
	if !hostName.MatchString(s) || len(s) > 253 {
		return fmt.Errorf("%q would be no host; the domain is like stores.example.com", s)
	}
	return nil
}

func checkURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || strings.TrimSuffix(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("%q must be like https://host.example:8200, without a path", s)
	}
	return nil
}

func checkRepo(s string) error {
	if u, err := url.Parse(s); err == nil && slices.Contains([]string{"https", "http", "ssh"}, u.Scheme) && u.Hostname() != "" && len(u.Path) > 1 && u.RawQuery == "" {
		if _, hasPassword := u.User.Password(); hasPassword {
			return fmt.Errorf("%q must not hold a password", u.Redacted())
		}
		return nil
	}
	if scpAddress.MatchString(s) {
		return nil
	}
	return fmt.Errorf("%q must be like https://git.example.com/shops/corner-shop-gitops.git or git@git.example.com:shops/corner-shop-gitops.git", s)
}

func checkChart(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "oci" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Scheme == "oci" && len(u.Path) < 2 {
		return fmt.Errorf("%q must be like oci://harbor.example/charts/parley, or https://charts.example for a chart repository", s)
	}
	return nil
}

func checkTemporal(s string) error {
	if s == temporalDev {
		return nil
	}
	host, port, err := net.SplitHostPort(s)
	if n, bad := strconv.Atoi(port); err != nil || host == "" || bad != nil || n < 1 || n > 65535 {
		return fmt.Errorf("%q must be HOST:PORT, like temporal.example.com:7233, or dev", s)
	}
	return nil
}

func checkGPUs(s string) error {
	if n, err := strconv.Atoi(s); err != nil || n < 0 || n > 64 {
		return fmt.Errorf("%q must be a number from 0 to 64", s)
	}
	return nil
}

// A taint is one of a node's.
type taint struct{ Key, Value, Effect string }

func parseTaint(s string) (taint, error) {
	what, effect, ok := strings.Cut(s, ":")
	key, value, _ := strings.Cut(what, "=")
	if !ok || !taintKey.MatchString(key) || !taintValue.MatchString(value) || !slices.Contains(taintEffects, effect) {
		return taint{}, fmt.Errorf("%q must be like praesenz.io/role=qa:NoSchedule, with the effect %s", s, strings.Join(taintEffects, ", "))
	}
	return taint{key, value, effect}, nil
}

// outside is the network, as a CIDR, of a server that is outside the cluster;
// empty: it is a Service of the cluster.
func outside(host string) string {
	if ip, err := netip.ParseAddr(host); err == nil {
		return netip.PrefixFrom(ip, ip.BitLen()).String()
	}
	if strings.Contains(host, ".svc.") || strings.HasSuffix(host, ".svc") {
		return ""
	}
	return "0.0.0.0/0"
}
