package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/praesenz/parley/flow"
)

const prefix = "PARLEY_"

// The setting that names the file cannot stand in it.
const fileFlag, fileVariable = "config", prefix + "CONFIG"

// A layer is where a setting is written; a later one wins.
type layer int

const (
	byDefault layer = iota
	byPlatform
	byFile
	byEnvironment
	byFlag
)

// Bind gives a command the flags of the settings that it reads, and --config.
func Bind(cmd Command, flags *pflag.FlagSet) {
	flags.String(fileFlag, "", "file of settings, in YAML (default: "+fileVariable+" in the environment, else none)")
	for _, s := range Settings() {
		if s.Secret || !s.ReadBy(cmd) {
			continue
		}
		f := flags.VarPF(&flagValue{kind: s.kind(), def: s.DefaultFor(cmd)}, s.Flag(), "", s.Help)
		if s.kind() == aSwitch {
			f.NoOptDefVal = "true"
		}
	}
}

// A flagValue keeps what a flag was given, to be checked with all the rest.
type flagValue struct {
	kind  kind
	def   string
	texts []string
}

// Set never fails: Load says what is wrong, everywhere at once.
func (v *flagValue) Set(text string) error {
	v.texts = append(v.texts, text)
	return nil
}

// Type is the word for the value in the help.
func (v *flagValue) Type() string { return string(v.kind) }

// String is what the help shows as the default.
func (v *flagValue) String() string { return v.def }

// Load reads a command's settings: from the file that --config or PARLEY_CONFIG
// names, from the environment ("NAME=value", as os.Environ gives it) and from the
// flags that Bind made. The error is an *InvalidError with every fault of all
// three; the Config is there beside it, for Values.
func Load(cmd Command, flags *pflag.FlagSet, environ []string) (*Config, error) {
	c := empty()
	l := &loader{config: c, cmd: cmd, settings: c.settings, environ: map[string]string{}, wrong: map[string]bool{}}
	for _, kv := range environ {
		if name, text, ok := strings.Cut(kv, "="); ok {
			l.environ[name] = text
		}
	}
	l.defaults()
	l.file(flags)
	l.environment()
	l.flags(flags)
	l.secrets()
	l.faults = append(l.faults, c.check(cmd, l.wrong)...)
	if len(l.faults) > 0 {
		return c, &InvalidError{l.faults}
	}
	return c, nil
}

// CheckFile gives every fault of a file by itself. It opens none of the files
// that the file names.
func CheckFile(path string) error {
	text, err := readFile(path)
	if err != nil {
		return err
	}
	return Check(path, text)
}

// Check is CheckFile for a text that is there already; name is what faults call it.
func Check(name string, text []byte) error {
	c := empty()
	l := &loader{config: c, settings: c.settings, wrong: map[string]bool{}}
	l.decode(name, text)
	if len(l.faults) > 0 {
		return &InvalidError{l.faults}
	}
	return nil
}

// A loader fills a Config, layer by layer.
type loader struct {
	config   *Config
	cmd      Command
	settings []Setting
	environ  map[string]string
	faults   []Fault
	wrong    map[string]bool // settings with a fault
}

// fault takes a fault of a setting; key may be empty.
func (l *loader) fault(key, where, says string) {
	l.faults = append(l.faults, Fault{where, says})
	l.wrong[key] = true
}

// take sets a setting to what one layer says.
func (l *loader) take(s Setting, from origin, items []item) {
	for _, f := range s.set(items, s.none || s.DefaultFor(l.cmd) == "") {
		l.fault(s.Key, f.Where, f.Message)
	}
	l.config.written[s.Key] = from
}

// takeText is take for a layer that is plain text.
func (l *loader) takeText(s Setting, source string, by layer, texts ...string) {
	var items []item
	for _, text := range texts {
		items = append(items, s.split(source, text)...)
	}
	if k := s.kind(); k != aList && k != aMap {
		items = items[len(items)-1:] // of a flag that is repeated
	}
	l.take(s, origin{source, source, by}, items)
}

// defaults takes each setting's default, or what the platform says in a variable
// of its own.
func (l *loader) defaults() {
	for _, s := range l.settings {
		if text := s.DefaultFor(l.cmd); text != "" {
			l.faults = append(l.faults, s.set(s.split(s.Key, text), false)...)
		}
		l.config.written[s.Key] = origin{source: "default"}
		if text := l.environ[s.also]; text != "" {
			l.takeText(s, s.also, byPlatform, text)
		}
	}
}

// file takes what the file says, where one is named.
func (l *loader) file(flags *pflag.FlagSet) {
	where, path := fileVariable, l.environ[fileVariable]
	if f := flags.Lookup(fileFlag); f != nil && f.Changed {
		where, path = "--"+fileFlag, f.Value.String()
	}
	if path == "" {
		return
	}
	text, err := readFile(path)
	if err != nil {
		l.fault("", where, err.Error())
		return
	}
	l.decode(path, text)
}

func (l *loader) decode(path string, text []byte) {
	d := &decoder{path: path, settings: l.settings, fault: l.fault, take: func(e entry) {
		l.take(e.setting, origin{fmt.Sprintf("file %s:%d", path, e.line), e.where, byFile}, e.items)
	}}
	d.decode(text)
}

// others are variables with our prefix that are no settings.
var others = []string{prefix + "SECRET_", prefix + "TEST_"}

// serviceLink is what Kubernetes puts into the environment for a Service whose
// name begins with parley.
var serviceLink = regexp.MustCompile(`_SERVICE_(HOST|PORT(_\w+)?)$|_PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?$`)

// environment takes what the environment says. A variable with our prefix that
// is no setting is a fault: it would be a setting that is misspelt.
func (l *loader) environment() {
	byVariable := map[string]Setting{}
	var known, links []string
	for _, s := range l.settings {
		byVariable[s.Variable()] = s
		known = append(known, s.Variable())
	}
	var names []string
	for name := range l.environ {
		if strings.HasPrefix(name, prefix) && name != fileVariable && !slices.ContainsFunc(others, func(o string) bool { return strings.HasPrefix(name, o) }) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		text := l.environ[name]
		s, ok := byVariable[name]
		switch {
		case serviceLink.MatchString(name) && (!ok || strings.Contains(text, "://")):
			links = append(links, name)
		case !ok:
			l.fault("", name, fmt.Sprintf("there is no such setting%s; `parley config print` lists all", flow.DidYouMean(name, known)))
		case s.Secret && text == "":
			// Compose passes a variable that is not set as an empty one.
		default:
			l.takeText(s, name, byEnvironment, text)
		}
	}
	if len(links) > 0 {
		l.fault("", links[0], fmt.Sprintf("Kubernetes makes this variable for a Service (one of %d), and it looks like a setting; set enableServiceLinks: false in the pod's spec", len(links)))
	}
}

// flags takes what the flags say.
func (l *loader) flags(flags *pflag.FlagSet) {
	for _, s := range l.settings {
		if s.Secret {
			continue
		}
		if f := flags.Lookup(s.Flag()); f != nil && f.Changed {
			if v, ours := f.Value.(*flagValue); ours {
				l.takeText(s, "--"+f.Name, byFlag, v.texts...)
			}
		}
	}
}

// secrets reads the files of the secrets that the command reads. A file that is
// named more closely than the secret itself wins, as any setting does.
func (l *loader) secrets() {
	for i, s := range l.settings {
		if !s.Secret || l.cmd == Any || !s.ReadBy(l.cmd) {
			continue
		}
		secret, file := l.config.written[s.Key], l.config.written[s.Key+"_file"]
		path := l.settings[i+1].into.(*string)
		if *path == "" || file.layer < secret.layer {
			continue
		}
		if file.layer == secret.layer {
			l.fault(s.Key, secret.where, fmt.Sprintf("it is set, and so is %s; keep one of them", file.where))
			continue
		}
		text, err := readFile(*path)
		if err != nil {
			l.fault(s.Key, file.where, err.Error())
			continue
		}
		content := strings.TrimSpace(string(text))
		if content == "" {
			l.fault(s.Key, file.where, *path+" is empty; write the secret into it")
			continue
		}
		l.take(s, file, []item{{where: file.where, text: content}})
	}
}
