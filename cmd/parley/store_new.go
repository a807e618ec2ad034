package main

import (
	"bufio"
	"bytes"
	"cmp"
	"embed"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"github.com/spf13/cobra"
)

// storeFiles are what a new store's two folders are made of.
//
//go:embed storefiles
var storeFiles embed.FS

// templateFlow is the flow that a template gives a new store.
var templateFlow = map[string]string{"empty": "welcome", "form": "call_back", "handoff": "staff", "questions": "help"}

func storeNewCommand() *cobra.Command {
	var a storeAnswers
	var dir string
	var yes bool
	var take []string
	cmd := &cobra.Command{
		Use:   "new NAME",
		Short: "Start a store: its folder, and the one that puts it into a cluster",
		Long: `New writes two folders, for two Git repositories:
  NAME         what the kiosks say and know: store.yaml, a flow from a template of
               parley flow new, its prompts and tests, a first document in each
               language, a Makefile and the workflow by which CI checks it all
  NAME-gitops  what puts it into a cluster by Rancher Fleet or ArgoCD: values of
               the Helm chart, the store's packed files, secrets from Vault

What no flag says is asked for at a terminal; --yes takes what is usual.

Where the folders are there already, nothing is written: new shows how they differ
from what it would write now, with the answers of last time (NAME/.parley-template)
unless a flag says otherwise. --write takes the changes over into files that nobody
has changed since they were written; --write=FILE into that file in any case.

Like diff it exits with 0 when nothing differs, or nothing does any more, and with
1 when something does.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			n := newStore{name: args[0], dir: dir, answers: &a, given: cmd.Flags().Changed, out: cmd.OutOrStdout(), complaints: cmd.ErrOrStderr()}
			if !yes && atTerminal(cmd.InOrStdin()) {
				n.ask = &dialogue{bufio.NewReader(cmd.InOrStdin()), cmd.ErrOrStderr()}
			}
			for _, file := range take {
				if file == takeUnchanged {
					n.write = true
				} else {
					n.files = append(n.files, file)
				}
			}
			return n.run()
		},
	}
	f := cmd.Flags()
	for _, o := range a.options("NAME") {
		f.StringVar(o.answer, o.flag, "", o.help)
	}
	f.StringVar(&dir, "dir", ".", "the folder in which both folders are")
	f.BoolVar(&yes, "yes", false, "ask nothing")
	f.StringArrayVar(&take, "write", nil, "take changes over: into files that nobody has changed, or =`FILE` (repeated) into this one")
	f.Lookup("write").NoOptDefVal = takeUnchanged
	return cmd
}

// takeUnchanged is what --write means without a file.
const takeUnchanged = "unchanged"

// A newStore is one run of store new.
type newStore struct {
	name, dir string
	answers   *storeAnswers
	given     func(flag string) bool
	ask       *dialogue // nil: nobody is asked
	write     bool
	files     []string // to be taken over in any case

	out, complaints io.Writer
}

func (n *newStore) run() error {
	if err := checkStoreName(n.name); err != nil { // it is a folder's name, so no file is looked at
		if n.ask != nil {
			return err
		}
		return errors.Join(err, n.answers.complete("name", n.given, nil, nil))
	}
	if info, err := os.Stat(n.dir); err != nil || !info.IsDir() {
		return fmt.Errorf("--dir: %q is no folder", n.dir)
	}
	folders := storeFolders{dir: n.dir, name: n.name}
	last, err := folders.readRecord()
	if err != nil {
		return err
	}
	if err := n.answers.complete(n.name, n.given, last.Answers, n.ask); err != nil {
		return err
	}
	files, err := n.answers.files(n.name)
	if err != nil {
		return err
	}
	if err := folders.refuseLinks(files); err != nil {
		return err
	}
	now := storeRecord{Parley: version(), Answers: n.answers.record(n.name)}
	if last.Files == nil {
		return n.start(folders, files, now)
	}
	return n.update(folders, files, last, now)
}

// start writes both folders where neither is.
func (n *newStore) start(folders storeFolders, files map[string][]byte, now storeRecord) error {
	for _, folder := range []string{n.name, n.name + gitopsSuffix} {
		if _, err := os.Lstat(filepath.Join(n.dir, folder)); err == nil {
			return fmt.Errorf("%s is there already, and was not made by `parley store new`, for it has no %s; move it, or choose another NAME", filepath.Join(n.dir, folder), recordFile)
		}
	}
	if err := addPack(n.complaints, n.name, files); err != nil {
		return err
	}
	if err := folders.write(files); err != nil {
		return err
	}
	now.Files = sums(files)
	if err := folders.writeRecord(now); err != nil {
		return err
	}
	a := n.answers
	source, gitops := filepath.Join(n.dir, n.name), filepath.Join(n.dir, n.name+gitopsSuffix)
	chat := filepath.Join(source, "flows", templateFlow[a.template]+".yaml")
	if a.template == "questions" {
		chat += " --kb"
	}
	_, err := fmt.Fprintf(n.out, `wrote %s: %d files, what the kiosks say and know
wrote %s: %d files, what puts them into a cluster

talk to it:   parley flow chat %s
test it:      make -C %s check test
hear it:      make -C %s dev
put it into a cluster:  %s
`, source, countUnder(files, n.name+"/")+1, gitops, countUnder(files, n.name+gitopsSuffix+"/"),
		chat, source, source, filepath.Join(gitops, "README.md"))
	return err
}

func countUnder(files map[string][]byte, folder string) int {
	n := 0
	for name := range files {
		if strings.HasPrefix(name, folder) {
			n++
		}
	}
	return n
}

// packedFile is the packed store, in its GitOps folder.
const packedFile = "helm/values-store.yaml"

// addPack adds the packed store to a new store's files.
func addPack(complaints io.Writer, name string, files map[string][]byte) error {
	dir, err := os.MkdirTemp("", "parley-store-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	draft := storeFolders{dir: dir, name: name}
	if err := draft.write(files); err != nil {
		return err
	}
	packed, err := packStore(complaints, filepath.Join(dir, name))
	if err != nil {
		return err
	}
	files[name+gitopsSuffix+"/"+packedFile] = packed
	return nil
}

// madeSecrets are the secrets of every store: the chart's secrets.keys.
var madeSecrets = []string{"kiosk_key", "media_token", "staff_token", "events_token"}

// scaledDeployments are what the chart can scale, in a release named parley.
var scaledDeployments = []string{
	"parley-gateway", "parley-worker-conversation", "parley-worker-stt", "parley-worker-retrieval", "parley-worker-llm",
	"parley-worker-tts", "parley-worker-avatar", "parley-worker-action",
}

// storeTemplate is what the files of a new store are filled in with.
type storeTemplate struct {
	Name, Title, Default, TimeZone, Flow, Lang string
	Languages                                  []string
	Kiosks                                     []newKiosk

	Tool, ToolName, Repo, RepoPage, Ring, Server string
	RepoByToken                                  bool // else by an SSH key
	Searches                                     bool // whether the flow looks into the knowledge
	Rings, NamespaceLabels, Scaled               []string
	Chart, ChartRepo, ChartName, ChartVersion    string
	ChartOCI                                     bool
	Registry, Image, Host, Domain, Vault         string
	IngressClass, IngressNamespace, UsualIngress string

	GPUs                    int
	ShareGPUs               bool
	Taint                   *taint // nil: the one that the chart's GPU pods tolerate by themselves
	Temporal, UsualTemporal string
	TemporalDev             bool
	TemporalOutside         string // CIDR; empty: in the cluster
	LLM, LLMURL             string
	LLMModel, UsualModel    string
	LLMOutside              string
	OtherNetworks           bool // whether anything is where the chart's network policies do not expect it
	LLMKey                  bool
	SecretKeys              []string
	MadeSecrets             []string // those of them that are random
	MoreSecrets             bool     // whether there are more than the chart's own
	Avatar                  *image   // nil: the browser draws it
}

// An image is one for the chart's values.
type image struct{ Registry, Repository, Tag string }

// parseImage takes an image's name apart. Its first part is a registry when it
// looks like a host.
func parseImage(name string) *image {
	if name == "" {
		return nil
	}
	i := strings.LastIndexByte(name, ':')
	img := image{Repository: name[:i], Tag: name[i+1:]}
	if first, rest, ok := strings.Cut(img.Repository, "/"); ok && strings.ContainsAny(first, ".:") {
		img.Registry, img.Repository = first, rest
	}
	return &img
}

// fill works the answers out.
func (a *storeAnswers) fill(name string) (storeTemplate, error) {
	gpus, err := strconv.Atoi(a.gpus)
	if err != nil {
		return storeTemplate{}, err
	}
	nodeTaint, err := parseTaint(a.gpuTaint)
	if err != nil {
		return storeTemplate{}, err
	}
	languages := list(a.languages)
	t := storeTemplate{
		Name: name, Title: a.title, Default: languages[0], TimeZone: a.timeZone, Flow: templateFlow[a.template],
		Languages: languages, Kiosks: parseKiosks(a.kiosks), Searches: a.template == "questions",
		Tool: a.tool, ToolName: map[string]string{"fleet": "Rancher Fleet", "argocd": "ArgoCD"}[a.tool],
		Repo: a.repo, RepoPage: repoPage(a.repo), RepoByToken: strings.HasPrefix(a.repo, "http"), Ring: a.ring, Rings: rings, Server: a.server,
		NamespaceLabels: []string{"pod-security.kubernetes.io/enforce: restricted", "pod-security.kubernetes.io/enforce-version: latest", "pod-security.kubernetes.io/warn: restricted"},
		Scaled:          scaledDeployments,
		Chart:           a.chart, ChartRepo: a.chart, ChartName: "parley", ChartVersion: a.chartVersion,
		Registry: a.registry, Image: cmp.Or(a.registry, publicRegistry) + "/praesenz/parley:" + a.chartVersion,
		Host: name + "." + a.domain, Domain: a.domain, Vault: a.vault,
		IngressClass: a.ingressClass, IngressNamespace: a.ingressNamespace,
		GPUs: gpus, Temporal: a.temporal, UsualTemporal: usualTemporal, UsualModel: usualModel, UsualIngress: usualIngress, TemporalDev: a.temporal == temporalDev,
		LLM: a.llm, LLMURL: a.llmURL, LLMModel: a.llmModel, LLMKey: a.llm == llmOpenAI,
		MadeSecrets: slices.Clone(madeSecrets),
		Avatar:      parseImage(a.avatarImage),
	}
	if rest, ok := strings.CutPrefix(a.chart, "oci://"); ok {
		t.ChartOCI = true // ArgoCD names an OCI registry without its scheme
		t.ChartRepo, t.ChartName = path.Split(rest)
		t.ChartRepo = strings.TrimSuffix(t.ChartRepo, "/")
	}
	if a.gpuTaint != nvidiaTaint {
		t.Taint = &nodeTaint
	}
	if !t.TemporalDev {
		host, _, err := net.SplitHostPort(a.temporal)
		if err != nil {
			return storeTemplate{}, err
		}
		t.TemporalOutside = outside(host)
	}
	if t.LLMKey {
		u, err := url.Parse(a.llmURL)
		if err != nil {
			return storeTemplate{}, err
		}
		t.LLMOutside = outside(u.Hostname())
	}
	if gpus == 0 { // the embedded speech server serves who has its token
		t.MadeSecrets = append(t.MadeSecrets, "speech_key")
	}
	t.SecretKeys = slices.Clone(t.MadeSecrets)
	if t.LLMKey {
		t.SecretKeys = append(t.SecretKeys, "llm_key")
	}
	t.OtherNetworks = t.IngressNamespace != usualIngress || t.TemporalOutside != "" || t.LLMOutside != ""
	t.MoreSecrets = len(t.SecretKeys) > len(madeSecrets)
	need := 1 // speaches
	if a.llm == "ollama" {
		need++
	}
	if t.Avatar != nil {
		need += len(t.Kiosks)
	}
	t.ShareGPUs = gpus > 0 && gpus < need
	return t, nil
}

// repoPage is where people read a repository.
func repoPage(repo string) string {
	repo = strings.TrimSuffix(repo, ".git")
	if u, err := url.Parse(repo); err == nil && u.Host != "" {
		if u.Scheme == "ssh" { // on another port than the pages
			return "https://" + u.Hostname() + u.Path
		}
		return repo
	}
	_, address, _ := strings.Cut(repo, "@") // git@HOST:PATH
	return "https://" + strings.Replace(address, ":", "/", 1)
}

// gitopsSuffix makes the second folder's name from the first's.
const gitopsSuffix = "-gitops"

// files are both folders' files, by path with the folder's name first, without
// the packed store.
func (a *storeAnswers) files(name string) (map[string][]byte, error) {
	t, err := a.fill(name)
	if err != nil {
		return nil, fmt.Errorf("fill the store in: %w", err)
	}
	files, err := flowFiles(t.Flow, "store", newOptions{template: a.template, languages: t.Languages})
	if err != nil {
		return nil, err
	}
	from := map[string]string{
		"store.yaml": "source/store.yaml", "Makefile": "source/Makefile", "README.md": "source/README.md",
		".gitignore": "source/gitignore", ".pre-commit-config.yaml": "source/pre-commit-config.yaml",
		"." + a.ci + "/workflows/check.yaml": "source/check.yaml",
	}
	all := map[string][]byte{}
	for to, text := range files {
		all[name+"/"+to] = text
	}
	for to, file := range from {
		if all[name+"/"+to], err = fillStoreFile(file, t); err != nil {
			return nil, err
		}
	}
	for _, lang := range t.Languages {
		of := t
		of.Lang = lang
		if all[name+"/kb/"+lang+"/"+aboutFile[lang]], err = fillStoreFile("source/kb.md", of); err != nil {
			return nil, err
		}
	}
	gitops := []string{"README.md", "helm/values.yaml", "cluster/external-secrets.yaml"}
	if a.tool == "fleet" {
		gitops = append(gitops, "gitrepo.yaml", "helm/fleet.yaml", "cluster/fleet.yaml")
	} else {
		gitops = append(gitops, "argocd/application.yaml", "argocd/appproject.yaml", "cluster/namespace.yaml")
	}
	for _, file := range gitops {
		if all[name+gitopsSuffix+"/"+file], err = fillStoreFile("gitops/"+file, t); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// aboutFile is the name of a language's first document.
var aboutFile = map[string]string{"en": "about-us.md", "de": "ueber-uns.md", "fr": "a-propos.md", "tr": "hakkimizda.md"}

func fillStoreFile(file string, t storeTemplate) ([]byte, error) {
	src, err := storeFiles.ReadFile(path.Join("storefiles", file))
	if err != nil {
		return nil, fmt.Errorf("read the template: %w", err)
	}
	tmpl, err := template.New(file).Delims("<<", ">>").Funcs(template.FuncMap{
		"quoted": strconv.Quote, // its escapes are YAML's too
		"join":   func(words []string) string { return strings.Join(words, ", ") },
	}).Parse(string(src))
	if err != nil {
		return nil, fmt.Errorf("read the template: %w", err)
	}
	var b bytes.Buffer
	if err := tmpl.Execute(&b, t); err != nil {
		return nil, fmt.Errorf("fill the template in: %w", err)
	}
	return b.Bytes(), nil
}
