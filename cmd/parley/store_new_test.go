package main

import (
	"bufio"
	"bytes"
	"flag"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"go.yaml.in/yaml/v3"
)

var updateStores = flag.Bool("update-stores", false, "write testdata/stores anew")

// newStoreIn runs store new in a folder as a job of CI does: its input is a device,
// and no terminal.
func newStoreIn(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	cmd := storeNewCommand()
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	nobody, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer nobody.Close()
	cmd.SetIn(nobody)
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	cmd.SetArgs(append([]string{"--dir", dir}, args...))
	err = cmd.ExecuteContext(t.Context())
	return out.String(), err
}

// usualAnswers need nothing of this machine.
var usualAnswers = []string{"lindenhof", "--yes", "--domain", "stores.example.com", "--time-zone", "Europe/Berlin"}

func mustNewStore(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := newStoreIn(t, dir, append(slices.Clone(usualAnswers), args...)...)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return out
}

// tree is every file below a folder.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(name)
		rel, _ := filepath.Rel(dir, name)
		files[filepath.ToSlash(rel)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestNewStoresCheckCleanAndTheirTestsPass(t *testing.T) {
	for _, template := range templateNames() {
		for _, tool := range []string{"fleet", "argocd"} {
			t.Run(template+" by "+tool, func(t *testing.T) {
				dir := t.TempDir()
				mustNewStore(t, dir, "--template", template, "--gitops", tool, "--languages", "de,en,fr,tr")
				store, values := filepath.Join(dir, "lindenhof"), filepath.Join(dir, "lindenhof-gitops", "helm", "values-store.yaml")
				var said bytes.Buffer
				if err := checkPaths(&said, []string{store}, "text", nil); err != nil || !strings.Contains(said.String(), "0 mistakes, 0 warnings") {
					t.Errorf("flow check: %v\n%s", err, said.String())
				}
				said.Reset()
				if err := testFlows(t.Context(), &said, []string{store}, testOptions{minCoverage: 60}); err != nil {
					t.Errorf("flow test: %v\n%s", err, said.String())
				}
				if err := checkPack(&said, &said, store, values); err != nil {
					t.Errorf("store pack --check: %v\n%s", err, said.String())
				}
				for name, text := range tree(t, dir) {
					checkYAML(t, name, text)
					if strings.Contains(text, "<no value>") || strings.Contains(text, "<<.") {
						t.Errorf("%s is not filled in:\n%s", name, text)
					}
				}
			})
		}
	}
}

// checkYAML reads every document of a YAML file.
func checkYAML(t *testing.T, name, text string) {
	t.Helper()
	if filepath.Ext(name) != ".yaml" {
		return
	}
	dec := yaml.NewDecoder(strings.NewReader(text))
	for {
		var doc any
		err := dec.Decode(&doc)
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Errorf("%s is no YAML: %v\n%s", name, err, text)
			return
		}
	}
}

func TestNewStores(t *testing.T) {
	for name, args := range map[string][]string{
		"fleet":  nil,
		"argocd": {"--gitops", "argocd", "--ci", "github", "--ring", "early"},
		"qa": {"--title", `Café "Ö": #1`, "--languages", "de,en", "--kiosks", "entrance=Eingang: links, tools='Werkzeug'", "--registry", "harbor.example:5000/library",
			"--ring", "canary", "--gpus", "1", "--gpu-taint", "praesenz.io/role=qa:NoSchedule", "--avatar-image", "praesenz/avatar:1.4.0", "--temporal", "10.0.0.7:7233"},
		"small": {"--template", "handoff", "--languages", "tr", "--gpus", "0", "--temporal", "dev", "--repo", "ssh://git@git.example.com:2222/shops/lindenhof-gitops.git"},
		"central": {"--gitops", "argocd", "--template", "form", "--languages", "fr", "--repo", "git@git.example.com:shops/lindenhof-gitops.git", "--chart", "https://charts.example.com",
			"--chart-version", "1.2.0-rc.1", "--llm", "openai", "--llm-url", "https://llm.example.com", "--llm-model", "qwen2.5-72b", "--temporal", "temporal.example.com:7233"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			var archive txtar.Archive
			archive.Comment = []byte(strings.ReplaceAll(mustNewStore(t, dir, args...), dir+"/", "") + "\n")
			files := tree(t, dir)
			for _, file := range slices.Sorted(maps.Keys(files)) {
				// The flow's own files are those of flow new, and the packed store is made of them.
				if strings.HasSuffix(file, recordFile) || strings.HasSuffix(file, packedFile) ||
					slices.ContainsFunc([]string{"/flows/", "/prompts/", "/tests/"}, func(folder string) bool { return strings.Contains(file, folder) }) {
					continue
				}
				archive.Files = append(archive.Files, txtar.File{Name: file, Data: []byte(files[file])})
			}
			got := txtar.Format(&archive)
			golden := filepath.Join("testdata", "stores", name+".txtar")
			if *updateStores {
				if err := os.MkdirAll(filepath.Dir(golden), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s differs; go test -run TestNewStores ./cmd/parley -update-stores writes it anew:\n%s", golden, change{old: want, new: got}.show(golden, false))
			}
		})
	}
}

func TestNewStoreTellsEveryFaultAtOnce(t *testing.T) {
	dir := t.TempDir()
	out, err := newStoreIn(t, dir, "Lindenhof", "--yes", "--title", "a\nb", "--languages", "en,xx,en", "--kiosks", "Door,a=b,a=c", "--template", "qestions",
		"--time-zone", "Berlin", "--gitops", "flux", "--ci", "jenkins", "--repo", "git", "--ring", "last", "--registry", "https://harbor", "--chart", "parley",
		"--chart-version", "latest", "--vault", "vault", "--temporal", "temporal", "--llm", "gpt", "--llm-url", "https://llm", "--gpus", "many", "--gpu-taint", "qa",
		"--ingress-class", "N G", "--avatar-image", "avatar:latest")
	if err == nil {
		t.Fatal("no error\n", out)
	}
	for _, want := range []string{
		`NAME: "Lindenhof" must be`, `--title: "a\nb"`, `--languages: the templates do not speak "xx"`, `"en" is there twice`, `--kiosks: "Door" must be`, `"a" is there twice`, `did you mean "questions"?`,
		`--time-zone: "Berlin"`, `--domain: it is missing`, `--gitops: there is no "flux"`, `--ci: there is no "jenkins"`, `--repo: "git" must be`, `--ring: there is no "last"`,
		`--registry: "https://harbor"`, `--chart: "parley" must be like oci://`, `--chart-version: "latest"`, `--vault: "vault"`, `--temporal: "temporal" must be HOST:PORT`,
		`--llm: there is no "gpt"`, `--llm-url: it has no meaning`, `--gpus: "many"`, `--gpu-taint: "qa" must be like praesenz.io/role=qa:NoSchedule`, `--ingress-class: "N G"`,
		`--avatar-image: "avatar:latest" must be an image with a tag`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %s:\n%v", want, err)
		}
	}
	if files := tree(t, dir); len(files) > 0 {
		t.Errorf("something was written: %v", files)
	}
}

func TestStoreNamesAreSafeForKubernetes(t *testing.T) {
	for _, name := range []string{"", "Shop", "1shop", "-shop", "shop-", "my_shop", "../shop", "shop/x", "größe", strings.Repeat("a", 41), "a b"} {
		dir := t.TempDir()
		if _, err := newStoreIn(t, dir, "--yes", "--domain", "stores.example.com", "--", name); err == nil || !strings.Contains(err.Error(), "NAME: ") {
			t.Errorf("%q: error %v, want one about NAME", name, err)
		}
		if files := tree(t, dir); len(files) > 0 {
			t.Errorf("%q: something was written", name)
		}
	}
}

func TestWithoutATerminalNothingIsAskedFor(t *testing.T) {
	_, err := newStoreIn(t, t.TempDir(), "lindenhof")
	if err == nil || !strings.Contains(err.Error(), "--domain: it is missing: DNS domain of the stores") {
		t.Errorf("error %v, want one that names --domain", err)
	}
}

// talkTo runs store new with a person who gives these answers.
func talkTo(t *testing.T, dir, answers string, args ...string) (asked string, err error) {
	t.Helper()
	var a storeAnswers
	given := map[string]bool{}
	for _, o := range a.options("lindenhof") {
		for i := 0; i+1 < len(args); i += 2 {
			if args[i] == "--"+o.flag {
				*o.answer, given[o.flag] = args[i+1], true
			}
		}
	}
	var out bytes.Buffer
	n := newStore{name: "lindenhof", dir: dir, answers: &a, given: func(flag string) bool { return given[flag] },
		ask: &dialogue{bufio.NewReader(strings.NewReader(answers)), &out}, out: io.Discard, complaints: io.Discard}
	err = n.run()
	return out.String(), err
}

func TestADialogue(t *testing.T) {
	dir := t.TempDir()
	answers := strings.Join([]string{
		"Der Lindenhof", "de, en", "Entrance!", "entrance=Eingang,tools", // a kiosk's id is refused once
		"Mars", "Europe/Berlin", "stores.example.com", "argocd", "", "", "", "", "", "", "", "", "0", "", "", "",
	}, "\n") + "\n"
	asked, err := talkTo(t, dir, answers, "--template", "handoff")
	if err != nil {
		t.Fatalf("%v\n%s", err, asked)
	}
	for _, want := range []string{
		"The store's name for people [Lindenhof]: ", `"Entrance!" must be a letter`, `"Mars" is no time zone`, "kiosks open https://lindenhof.DOMAIN): ",
		"[https://git.stores.example.com/lindenhof-gitops.git]", "[https://vault.stores.example.com]", "What answers (ollama, openai, extractive) [extractive]",
	} {
		if !strings.Contains(asked, want) {
			t.Errorf("the dialogue lacks %q:\n%s", want, asked)
		}
	}
	for _, never := range []string{"What the kiosks talk", "ingress", "language model's server"} {
		if strings.Contains(asked, never) {
			t.Errorf("%q is asked for, which a flag says, or which nobody needs:\n%s", never, asked)
		}
	}
	files := tree(t, dir)
	if text := files["lindenhof/store.yaml"]; !strings.Contains(text, `{id: entrance, name: "Eingang", flow: staff}`) || !strings.Contains(text, `{default: de, supported: [de, en]}`) {
		t.Errorf("the store is\n%s", text)
	}
	if files["lindenhof-gitops/argocd/application.yaml"] == "" {
		t.Error("there is no ArgoCD application")
	}
}

func TestADialogueThatBreaksOffWritesNothing(t *testing.T) {
	dir := t.TempDir()
	_, err := talkTo(t, dir, "Lindenhof\nen\n")
	if err == nil || !strings.Contains(err.Error(), "no answer for --kiosks") {
		t.Errorf("error %v, want one that names --kiosks", err)
	}
	if files := tree(t, dir); len(files) > 0 {
		t.Errorf("something was written: %v", files)
	}
}

func edit(t *testing.T, file, from, to string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), from) {
		t.Fatalf("%s has no %q", file, from)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(string(text), from, to, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestTheSecondRunShowsADifference(t *testing.T) {
	dir := t.TempDir()
	mustNewStore(t, dir, "--kiosks", "entrance,tools")
	before := tree(t, dir)
	again := func(args ...string) (string, error) {
		return newStoreIn(t, dir, append([]string{"lindenhof", "--yes"}, args...)...)
	}
	if out, err := again(); err != nil || !strings.Contains(out, "is as `parley store new` would write it") {
		t.Fatalf("unchanged folders differ: %v\n%s", err, out)
	}

	// What a newer chart would change is shown, not written; the answers are those of last time.
	out, err := again("--chart-version", "0.2.0")
	if err == nil {
		t.Fatal("a difference does not exit with 1")
	}
	for _, want := range []string{"-  version: 0.1.0\n+  version: 0.2.0\n", "-  PARLEY_IMAGE: ghcr.io/praesenz/parley:0.1.0\n", "helm/fleet.yaml: --write takes it over"} {
		if !strings.Contains(out, want) {
			t.Errorf("the difference lacks %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "kiosk") {
		t.Errorf("the answers of last time are lost:\n%s", out)
	}
	if after := tree(t, dir); !maps.Equal(before, after) {
		t.Error("the second run wrote something without --write")
	}

	// A person's changes stay, and what a person did not touch is taken over.
	fleet := filepath.Join(dir, "lindenhof-gitops", "helm", "fleet.yaml")
	flow := filepath.Join(dir, "lindenhof", "prompts", "help", "en.yaml")
	edit(t, fleet, "maxHistory: 5", "maxHistory: 9")
	edit(t, flow, "Hello, and welcome!", "Welcome to Lindenhof!")
	if err := os.Remove(filepath.Join(dir, "lindenhof", "Makefile")); err != nil {
		t.Fatal(err)
	}
	out, err = again("--chart-version", "0.2.0", "--write")
	if err == nil {
		t.Error("changes of a person that are left do not exit with 1")
	}
	for _, want := range []string{
		"wrote " + filepath.Join(dir, "lindenhof", ".gitea", "workflows", "check.yaml"), "wrote " + filepath.Join(dir, "lindenhof-gitops", "helm", "values-store.yaml"),
		"fleet.yaml: changed since it was written; only --write=" + fleet, "-greet: Welcome to Lindenhof!\n+greet: Hello, and welcome!\n", "Makefile: removed since it was written",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the output lacks %q:\n%s", want, out)
		}
	}
	files := tree(t, dir)
	if !strings.Contains(files["lindenhof-gitops/helm/fleet.yaml"], "maxHistory: 9") || !strings.Contains(files["lindenhof/prompts/help/en.yaml"], "Welcome to Lindenhof!") {
		t.Error("a person's change was overwritten")
	}
	if !strings.Contains(files["lindenhof-gitops/helm/values-store.yaml"], "Welcome to Lindenhof!") {
		t.Error("the packed store is not made of the store's folder as it is")
	}
	if _, ok := files["lindenhof/Makefile"]; ok {
		t.Error("a file that a person removed is back")
	}

	// The chosen ones are taken over too; then the answers of the last run hold.
	out, err = again("--write="+fleet, "--write="+flow, "--write="+filepath.Join(dir, "lindenhof", "Makefile"), "--write")
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	files = tree(t, dir)
	if !strings.Contains(files["lindenhof-gitops/helm/fleet.yaml"], "version: 0.2.0\n") || files["lindenhof/Makefile"] == "" {
		t.Errorf("the files that --write names were not taken over:\n%s", files["lindenhof-gitops/helm/fleet.yaml"])
	}
	if out, err := again(); err != nil {
		t.Errorf("a difference is left: %v\n%s", err, out)
	}
}

func TestTheSecondRunNamesWhatIsNoLongerPart(t *testing.T) {
	dir := t.TempDir()
	mustNewStore(t, dir)
	out, err := newStoreIn(t, dir, "lindenhof", "--yes", "--ci", "github")
	if err == nil || !strings.Contains(out, filepath.Join(".gitea", "workflows", "check.yaml")+" is no longer part") || !strings.Contains(out, filepath.Join(".github", "workflows", "check.yaml")+": new") {
		t.Errorf("%v\n%s", err, out)
	}
	if _, err := newStoreIn(t, dir, "lindenhof", "--yes", "--write=store.yaml"); err == nil || !strings.Contains(err.Error(), "--write=store.yaml: it is none of the store's files") {
		t.Errorf("error %v for a file that is none", err)
	}
}

func TestWhatIsTakenOverStaysOnRecordWhenTheStoreCannotBePacked(t *testing.T) {
	dir := t.TempDir()
	mustNewStore(t, dir)
	flow := filepath.Join(dir, "lindenhof", "flows", "help.yaml")
	edit(t, flow, "start: greet", "start: gret")
	if out, err := newStoreIn(t, dir, "lindenhof", "--yes", "--chart-version", "0.2.0", "--write"); err == nil || !strings.Contains(out, `did you mean "greet"?`) {
		t.Errorf("%v\n%s", err, out)
	}
	edit(t, flow, "start: gret", "start: greet")
	if out, err := newStoreIn(t, dir, "lindenhof", "--yes"); err != nil {
		t.Errorf("what was taken over counts as a person's change: %v\n%s", err, out)
	}
}

func TestTheAnswersAreKept(t *testing.T) {
	dir := t.TempDir()
	mustNewStore(t, dir, "--title", `"Ö": #1`, "--kiosks", "entrance, garden=Garten")
	record := filepath.Join(dir, "lindenhof", recordFile)
	text, err := os.ReadFile(record)
	if err != nil {
		t.Fatal(err)
	}
	var kept storeRecord
	if err := yaml.Unmarshal(text, &kept); err != nil {
		t.Fatal(err)
	}
	for flag, want := range map[string]string{"title": `"Ö": #1`, "kiosks": "entrance, garden=Garten", "domain": "stores.example.com", "chart-version": chartVersion, "registry": "", "gitops": "fleet"} {
		if got, ok := kept.Answers[flag]; !ok || got != want {
			t.Errorf("--%s is kept as %q, want %q", flag, got, want)
		}
	}
	if kept.Parley == "" || len(kept.Files) != len(tree(t, dir))-1 {
		t.Errorf("the record is of version %q and %d files, of %d", kept.Parley, len(kept.Files), len(tree(t, dir))-1)
	}
	for name, change := range map[string][2]string{
		"an answer that was changed by hand": {"gitops: fleet", "gitops: flux"},
		"a word that is none":                {"answers:", "anwsers:"},
	} {
		broken := strings.Replace(string(text), change[0], change[1], 1)
		if err := os.WriteFile(record, []byte(broken), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := newStoreIn(t, dir, "lindenhof", "--yes")
		if err == nil || !strings.Contains(err.Error(), recordFile+" is not as") && !strings.Contains(err.Error(), `--gitops: there is no "flux"`) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if err := os.Remove(record); err != nil {
		t.Fatal(err)
	}
	before := tree(t, dir)
	if _, err := newStoreIn(t, dir, "lindenhof", "--yes", "--domain", "stores.example.com"); err == nil || !strings.Contains(err.Error(), "has no "+recordFile) {
		t.Errorf("error %v for folders without a record", err)
	}
	if !maps.Equal(before, tree(t, dir)) {
		t.Error("folders without a record were overwritten")
	}
}

func TestNewWritesInItsTwoFoldersOnly(t *testing.T) {
	dir := t.TempDir()
	mustNewStore(t, dir)
	for name := range tree(t, dir) {
		if !strings.HasPrefix(name, "lindenhof/") && !strings.HasPrefix(name, "lindenhof-gitops/") {
			t.Errorf("%s is outside both folders", name)
		}
	}
	for _, there := range []string{"other", "other-gitops"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, there), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := newStoreIn(t, dir, "other", "--yes", "--domain", "stores.example.com"); err == nil {
			t.Errorf("a store beside %s, which is not ours", there)
		}
		if files := tree(t, dir); len(files) != 1 {
			t.Errorf("something was written beside %s: %v", there, files)
		}
	}
}

func TestNewRefusesLinks(t *testing.T) {
	for _, at := range []string{"lindenhof", "lindenhof-gitops", "lindenhof/kb", "lindenhof-gitops/helm/values.yaml", "lindenhof/.parley-template"} {
		dir, elsewhere := t.TempDir(), t.TempDir()
		mustNewStore(t, dir)
		moved := filepath.Join(elsewhere, "moved")
		if err := os.Rename(filepath.Join(dir, at), moved); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(moved, filepath.Join(dir, at)); err != nil {
			t.Skip("links cannot be made here: ", err)
		}
		before := tree(t, elsewhere)
		_, err := newStoreIn(t, dir, "lindenhof", "--yes", "--chart-version", "0.2.0", "--write")
		if err == nil || !strings.Contains(err.Error(), filepath.Join(dir, at)+" is a symbolic link") {
			t.Errorf("%s: error %v, want one about the link", at, err)
		}
		if !maps.Equal(before, tree(t, elsewhere)) {
			t.Errorf("%s: something was written through the link", at)
		}
	}
}

func TestANewStoreHasTheChartOfThisVersion(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "helm", "Chart.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var chart struct {
		Version    string `yaml:"version"`
		AppVersion string `yaml:"appVersion"`
	}
	if err := yaml.Unmarshal(text, &chart); err != nil {
		t.Fatal(err)
	}
	if chart.Version != chartVersion || chart.AppVersion != chartVersion {
		t.Errorf("the chart is %s, of Parley %s; store new would take %s", chart.Version, chart.AppVersion, chartVersion)
	}
	var values struct {
		Temporal struct{ Address string }
		Ollama   struct {
			LLMModel string `yaml:"llmModel"`
		}
		Secrets       struct{ Keys []string }
		NetworkPolicy struct {
			IngressNamespace map[string]string `yaml:"ingressNamespace"`
		} `yaml:"networkPolicy"`
		Image struct{ Registry, Repository string }
	}
	if text, err = os.ReadFile(filepath.Join("..", "..", "helm", "values.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &values); err != nil {
		t.Fatal(err)
	}
	if values.Temporal.Address != usualTemporal || values.Ollama.LLMModel != usualModel || !slices.Equal(values.Secrets.Keys, madeSecrets) ||
		values.NetworkPolicy.IngressNamespace["kubernetes.io/metadata.name"] != usualIngress ||
		values.Image.Registry != publicRegistry || values.Image.Repository != "praesenz/parley" {
		t.Errorf("what store new leaves out is not what the chart says by itself: %+v", values)
	}
	for template := range templateFlow {
		if !slices.Contains(templateNames(), template) {
			t.Errorf("there is no template %s", template)
		}
	}
	for _, template := range templateNames() {
		if templateFlow[template] == "" {
			t.Errorf("the template %s has no name for its flow", template)
		}
	}
}
