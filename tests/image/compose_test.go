package image

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// stacks are the ways in which compose.yaml is meant to be run.
var stacks = map[string][]string{
	"GPU": {"compose.yaml"},
	"CPU": {"compose.yaml", "compose.cpu.yaml"},
}

// writable are the services whose images write to their own root.
var writable = []string{"speech", "temporal-ui", "dcgm"}

// edges lists who connects to whom: HOST:PORT by service.
var edges = map[string]map[string][]string{
	"GPU": {
		"gateway":             {"temporal:7233", "speech:8000", "ollama:11434", "qdrant:6334"},
		"worker-conversation": {"temporal:7233"},
		"worker-models":       {"temporal:7233", "gateway:8090", "speech:8000", "ollama:11434", "qdrant:6334"},
		"worker-action":       {"temporal:7233"},
		"knowledge":           {"ollama:11434", "qdrant:6334"},
		"setup":               {"temporal:7233"},
		"speech-models":       {"speech:8000"},
		"ollama-models":       {"ollama:11434"},
		"temporal":            {"postgresql:5432"},
		"temporal-schema":     {"postgresql:5432"},
		"temporal-ui":         {"temporal:7233"},
		"grafana":             {"prometheus:9090"},
		"prometheus":          {"gateway:8080", "worker-conversation:9100", "worker-models:9100", "worker-action:9100", "knowledge:9100", "temporal:9090", "dcgm:9400"},
	},
	"CPU": {
		"gateway":             {"temporal:7233", "speech:8100", "qdrant:6334"},
		"worker-conversation": {"temporal:7233"},
		"worker-models":       {"temporal:7233", "gateway:8090", "speech:8100", "qdrant:6334"},
		"worker-action":       {"temporal:7233"},
		"knowledge":           {"qdrant:6334"},
		"setup":               {"temporal:7233"},
		"temporal":            {"postgresql:5432"},
		"temporal-schema":     {"postgresql:5432"},
		"temporal-ui":         {"temporal:7233"},
		"grafana":             {"prometheus:9090"},
		"prometheus":          {"gateway:8080", "worker-conversation:9100", "worker-models:9100", "worker-action:9100", "knowledge:9100", "temporal:9090"},
	},
}

func TestCompose(t *testing.T) {
	made := madeSecrets(t)
	for stack := range stacks {
		t.Run(stack, func(t *testing.T) {
			project := load(t, stack)
			oneShots := completed(project)
			for name, s := range project.Services {
				t.Run(name, func(t *testing.T) {
					checkImage(t, s.Image)
					require.Contains(t, s.CapDrop, "ALL")
					require.Empty(t, s.CapAdd)
					require.False(t, s.Privileged)
					require.Contains(t, s.SecurityOpt, "no-new-privileges:true")
					require.NotEmpty(t, s.Logging.Options["max-size"], "a log has a bound")
					if !s.ReadOnly {
						require.Contains(t, writable, name, "its root can be written; set read_only, or say why not and name it in this test")
					}
					require.NotNil(t, s.Deploy, "has limits")
					require.NotZero(t, s.Deploy.Resources.Limits.NanoCPUs)
					require.NotZero(t, s.Deploy.Resources.Limits.MemoryBytes)

					if slices.Contains(oneShots, name) {
						require.Regexp(t, `^on-failure:\d+$`, s.Restart, "it runs once")
						require.Nil(t, s.HealthCheck)
					} else {
						require.Equal(t, "unless-stopped", s.Restart)
						require.NotNil(t, s.HealthCheck, "without a health check nobody can wait for it")
						require.NotEmpty(t, s.HealthCheck.Test)
						require.Greater(t, *s.HealthCheck.Interval, *s.HealthCheck.Timeout)
					}
					for other, d := range s.DependsOn {
						switch d.Condition {
						case types.ServiceConditionHealthy:
							require.NotNil(t, project.Services[other].HealthCheck, "%s never gets healthy", other)
						case types.ServiceConditionCompletedSuccessfully:
						default:
							t.Errorf("depends on %s with the condition %s, which says nothing; wait for its health or its end", other, d.Condition)
						}
					}
					for _, port := range s.Ports {
						require.Equal(t, "127.0.0.1", port.HostIP, "port %s is open to the network; a proxy with TLS belongs in front", port.Published)
						require.Contains(t, s.Expose, fmt.Sprint(port.Target))
					}

					for _, v := range s.Volumes {
						if v.Type == types.VolumeTypeBind {
							require.True(t, v.ReadOnly, "%s: what is mounted from this machine is not written", v.Target)
							checkPath(t, v.Source, made)
						}
					}
					for _, secret := range s.Secrets {
						require.Contains(t, made, filepath.Base(project.Secrets[secret.Source].File), "make-secrets makes it")
					}
					for _, config := range s.Configs {
						checkPath(t, project.Configs[config.Source].File, nil)
					}
					for key, value := range s.Environment {
						if regexp.MustCompile(`(?i)(key|token|password|secret|pwd)$`).MatchString(key) {
							t.Errorf("%s=%s: a secret in the environment is seen by all who may inspect a container; give the file", key, *value)
						}
					}
				})
			}

			t.Run("who is published", func(t *testing.T) {
				published := map[string]string{}
				for name, s := range project.Services {
					for _, p := range s.Ports {
						published[name] = p.Published
					}
				}
				require.Equal(t, map[string]string{"gateway": "8080", "temporal-ui": "8233", "grafana": "3000"}, published)
			})
			t.Run("who has a way out", func(t *testing.T) {
				want := []string{"gateway", "grafana", "ollama", "speech", "temporal-ui", "worker-action"}
				if stack == "CPU" {
					want = []string{"gateway", "grafana", "temporal-ui", "worker-action"}
				}
				var out []string
				for name, s := range project.Services {
					if slices.ContainsFunc(networks(s), func(n string) bool { return !bool(project.Networks[n].Internal) }) {
						out = append(out, name)
					}
				}
				require.ElementsMatch(t, want, out)
			})
			t.Run("who reaches whom", func(t *testing.T) {
				for from, addresses := range edges[stack] {
					for _, address := range addresses {
						to, port, _ := strings.Cut(address, ":")
						require.Contains(t, project.ServiceNames(), from)
						require.Contains(t, project.ServiceNames(), to)
						require.Contains(t, project.Services[to].Expose, port, "%s does not listen on %s", to, port)
						shared := slices.ContainsFunc(networks(project.Services[from]), func(n string) bool {
							return slices.Contains(networks(project.Services[to]), n)
						})
						require.True(t, shared, "%s and %s share no network", from, to)
					}
				}
			})
			t.Run("which secrets are used", func(t *testing.T) {
				var used []string
				for _, s := range project.Services {
					for _, secret := range s.Secrets {
						used = append(used, secret.Source)
					}
				}
				for name := range project.Secrets {
					require.Contains(t, used, name)
				}
			})
		})
	}
}

// TestAddresses holds every address that a setting names to the services: the
// settings of Parley, Prometheus and Grafana, and what services are told.
func TestAddresses(t *testing.T) {
	address := regexp.MustCompile(`\b([a-z][a-z-]*):(\d{4,5})\b`)
	for stack := range stacks {
		t.Run(stack, func(t *testing.T) {
			project := load(t, stack)
			texts := map[string]string{}
			for _, file := range []string{"parley.yaml", "prometheus.yaml", "grafana-datasource.yaml"} {
				if stack == "CPU" {
					break // it changes addresses by the environment alone
				}
				b, err := os.ReadFile(filepath.Join(root, "deploy/compose", file))
				require.NoError(t, err)
				texts[file] = string(b)
			}
			for name, s := range project.Services {
				texts[name] = strings.Join(append(s.Command, s.Entrypoint...), " ")
				for _, value := range s.Environment {
					texts[name] += "\n" + *value
				}
			}
			for where, text := range texts {
				for _, match := range address.FindAllStringSubmatch(text, -1) {
					host, port := match[1], match[2]
					if host == "localhost" {
						continue
					}
					require.Contains(t, project.ServiceNames(), host, "%s names %s", where, match[0])
					require.Contains(t, project.Services[host].Expose, port, "%s names %s", where, match[0])
				}
			}
		})
	}
}

// TestSettings asks Parley itself whether it takes what the services give it.
func TestSettings(t *testing.T) {
	parley := build(t)
	secrets := secretFiles(t)
	settings, err := os.ReadFile(filepath.Join(root, "deploy/compose/parley.yaml"))
	require.NoError(t, err)
	here := strings.NewReplacer("/run/secrets", secrets, "/run/action-secrets", filepath.Join(secrets, "actions"), "/etc/parley/store", absolute(t, "examples/hardware-store"))
	file := filepath.Join(t.TempDir(), "parley.yaml")
	require.NoError(t, os.WriteFile(file, []byte(here.Replace(string(settings))), 0o600))

	t.Run("the file", func(t *testing.T) {
		out, err := exec.Command(parley, "config", "check", file).CombinedOutput()
		require.NoError(t, err, "%s", out)
	})
	for stack := range stacks {
		for name, s := range load(t, stack).Services {
			if !strings.Contains(s.Image, "praesenz/parley") {
				continue
			}
			t.Run(stack+"/"+name, func(t *testing.T) {
				var args []string
				for _, arg := range s.Command {
					args = append(args, here.Replace(arg))
				}
				// Cobra reads the command and its flags before it helps.
				out, err := exec.Command(parley, append(args, "--help")...).CombinedOutput()
				require.NoError(t, err, "%s", out)
				require.Contains(t, string(out), "parley "+strings.Join(words(args), " "), "there is such a command")

				cmd := exec.Command(parley, "config", "print", "--for", strings.Join(words(args), " "))
				cmd.Env = []string{"HOME=" + t.TempDir()}
				for key, value := range s.Environment {
					cmd.Env = append(cmd.Env, key+"="+here.Replace(strings.ReplaceAll(*value, "/etc/parley/parley.yaml", file)))
				}
				out, err = cmd.CombinedOutput()
				require.NoError(t, err, "%s", out)
				if stack == "CPU" && name == "worker-models" {
					require.NotContains(t, string(out), "speaches-ai/", "the embedded speech server has no such model")
				}
			})
		}
	}
}

// TestSecrets runs make-secrets twice: what was made stays.
func TestSecrets(t *testing.T) {
	folder := secretFiles(t)
	for name := range madeSecrets(t) {
		if name == "actions" {
			continue
		}
		b, err := os.ReadFile(filepath.Join(folder, name))
		require.NoError(t, err)
		require.Regexp(t, `^[0-9a-f]{64}$`, string(b), name)
		info, err := os.Stat(filepath.Join(folder, name))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o444), info.Mode().Perm(), "the containers' users differ")
		ignored, err := git("check-ignore", "deploy/compose/secrets/"+name)
		require.NoError(t, err, "git would take %s", name)
		require.NotEmpty(t, ignored)
	}
	info, err := os.Stat(folder)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())

	before, err := os.ReadFile(filepath.Join(folder, "kiosk_key"))
	require.NoError(t, err)
	out, err := exec.Command(filepath.Join(filepath.Dir(folder), "make-secrets")).CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Empty(t, out, "nothing is missing")
	after, err := os.ReadFile(filepath.Join(folder, "kiosk_key"))
	require.NoError(t, err)
	require.Equal(t, before, after)
}

// TestTags keeps compose.yaml on the versions of the chart.
func TestTags(t *testing.T) {
	values, err := os.ReadFile(filepath.Join(root, "helm/values.yaml"))
	require.NoError(t, err)
	var tree any
	require.NoError(t, yaml.Unmarshal(values, &tree))
	chart := map[string]string{}
	var walk func(any)
	walk = func(node any) {
		m, ok := node.(map[string]any)
		if !ok {
			return
		}
		if repository, _ := m["repository"].(string); repository != "" {
			if tag, _ := m["tag"].(string); tag != "" {
				chart[repository] = tag
			}
		}
		for _, child := range m {
			walk(child)
		}
	}
	walk(tree)

	shared := 0
	for name, s := range load(t, "GPU").Services {
		repository, tag, _ := strings.Cut(strings.TrimPrefix(s.Image, "ghcr.io/"), ":")
		if want, ok := chart[repository]; ok {
			require.Equal(t, want, tag, "%s: helm/values.yaml has another version of %s", name, repository)
			shared++
		}
	}
	require.NotZero(t, shared)
}

// TestEngine lets Docker itself read the files, where it is.
func TestEngine(t *testing.T) {
	if out, err := exec.Command("docker", "compose", "version").CombinedOutput(); err != nil {
		t.Skipf("skipped: there is no `docker compose` here (%s)", strings.TrimSpace(strings.SplitN(string(out), "\n", 2)[0]))
	}
	for stack, files := range stacks {
		t.Run(stack, func(t *testing.T) {
			args := []string{"compose", "--profile", "*"}
			for _, f := range files {
				args = append(args, "--file", f)
			}
			cmd := exec.Command("docker", append(args, "config", "--quiet")...)
			cmd.Dir = root
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s", out)
			require.Empty(t, out, "it warns")
		})
	}
}

// load reads a stack as `docker compose` does, strictly, with every profile.
func load(t *testing.T, stack string) *types.Project {
	t.Helper()
	var files []string
	for _, name := range stacks[stack] {
		files = append(files, absolute(t, name))
	}
	options, err := cli.NewProjectOptions(files, cli.WithWorkingDirectory(absolute(t, ".")), cli.WithProfiles([]string{"*"}), cli.WithResolvedPaths(true))
	require.NoError(t, err)
	project, err := options.LoadProject(t.Context())
	require.NoError(t, err)
	return project
}

// completed lists the services that others wait for to end.
func completed(project *types.Project) []string {
	var names []string
	for _, s := range project.Services {
		for other, d := range s.DependsOn {
			if d.Condition == types.ServiceConditionCompletedSuccessfully {
				names = append(names, other)
			}
		}
	}
	return names
}

// networks lists those that a service is in.
func networks(s types.ServiceConfig) []string { return slices.Collect(maps.Keys(s.Networks)) }

// checkImage wants a tag that does not move; ours is the release's, or dev.
func checkImage(t *testing.T, image string) {
	t.Helper()
	if name, tag, _ := strings.Cut(image, ":"); strings.HasPrefix(name, "ghcr.io/praesenz/") {
		require.Equal(t, "dev", tag, "without VERSION")
		return
	}
	require.Regexp(t, `:v?\d+\.\d+[\w.-]*$`, image, "a tag with a version")
}

// checkPath wants a mounted path to be there, or made by make-secrets.
func checkPath(t *testing.T, source string, made map[string]bool) {
	t.Helper()
	if filepath.Dir(source) == absolute(t, "deploy/compose/secrets") {
		require.Contains(t, made, filepath.Base(source))
		return
	}
	_, err := os.Stat(source)
	require.NoError(t, err)
}

// secretFiles runs make-secrets in a folder of its own and gives where they are.
func secretFiles(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	script, err := os.ReadFile(filepath.Join(root, "deploy/compose/make-secrets"))
	require.NoError(t, err)
	path := filepath.Join(folder, "make-secrets")
	require.NoError(t, os.WriteFile(path, script, 0o700))
	out, err := exec.Command("bash", path).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return filepath.Join(folder, "secrets")
}

// madeSecrets lists what make-secrets makes.
func madeSecrets(t *testing.T) map[string]bool {
	t.Helper()
	entries, err := os.ReadDir(secretFiles(t))
	require.NoError(t, err)
	made := map[string]bool{}
	for _, e := range entries {
		made[e.Name()] = true
	}
	return made
}

// words gives the command of an argument list: what stands before its flags.
func words(args []string) []string {
	if i := slices.IndexFunc(args, func(a string) bool { return strings.HasPrefix(a, "-") }); i >= 0 {
		return args[:i]
	}
	return args
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	full, err := filepath.Abs(filepath.Join(root, path))
	require.NoError(t, err)
	return full
}
