{{/* KServe's vLLM, and its address for the setting llm_url. The Service is the chart's own, because
     KServe's is headless or not by the cluster's configuration, and its port differs with that. */}}
{{- define "parley.kserveName" -}}
{{- include "parley.component" (dict "root" . "component" "kserve") }}
{{- end }}

{{- define "parley.kserveURL" -}}
{{- if .Values.kserve.enabled }}
{{- printf "http://%s:8080" (include "parley.host" (dict "root" . "component" "llm")) }}
{{- end }}
{{- end }}

{{- define "parley.postgresName" -}}
{{- include "parley.component" (dict "root" . "component" "postgres") }}
{{- end }}

{{/* Labels of the pods that a component's NetworkPolicy is about. Those that an operator makes
     carry the operator's. */}}
{{- define "parley.podLabels" -}}
{{- if eq .component "kserve" -}}
serving.kserve.io/inferenceservice: {{ include "parley.kserveName" .root }}
{{- else if eq .component "postgres" -}}
cnpg.io/cluster: {{ include "parley.postgresName" .root }}
{{- else -}}
{{ include "parley.selectorLabels" . }}
{{- end }}
{{- end }}

{{/* parley.peers: components as peers of a NetworkPolicy: (dict "root" $ "components" list) */}}
{{- define "parley.peers" -}}
{{- $ours := list }}
{{- range .components }}
{{- if has . (list "kserve" "postgres") }}
- podSelector:
    matchLabels:
      {{- include "parley.podLabels" (dict "root" $.root "component" .) | nindent 6 }}
{{- else }}
{{- $ours = append $ours . }}
{{- end }}
{{- end }}
{{- with $ours }}
- podSelector:
    matchLabels:
      app.kubernetes.io/name: {{ include "parley.name" $.root }}
      app.kubernetes.io/instance: {{ $.root.Release.Name }}
    matchExpressions:
      - {key: app.kubernetes.io/component, operator: In, values: [{{ join ", " . }}]}
{{- end }}
{{- end }}

{{/* parley.ports: an edge's ports; all of its protocol where it names none */}}
{{- define "parley.ports" -}}
{{- $protocol := .protocol | default "TCP" -}}
ports:
{{- range .ports }}
  - {port: {{ . }}, protocol: {{ $protocol }}}
{{- else }}
  - {protocol: {{ $protocol }}}
{{- end }}
{{- end }}

{{/* parley.server: the far side of an edge to a server, in this release or outside it:
     (dict "root" $ "address" "HOST:PORT or URL" "name" <its key in networkPolicy> "setting" <where the address is written>) */}}
{{- define "parley.server" -}}
{{- $rule := index .root.Values.networkPolicy .name }}
{{- $url := urlParse (ternary .address (printf "tcp://%s" .address) (contains "://" .address)) }}
{{- $host := regexReplaceAll ":[0-9]+$" $url.host "" }}
{{- $port := regexFind "[0-9]+$" (regexFind ":[0-9]+$" $url.host) | default (ternary "443" "80" (eq $url.scheme "https")) }}
{{- $own := "" }}
{{- range list "temporal" "speaches" "speech" "ollama" "qdrant" "llm" "minio" }}
{{- if eq $host (include "parley.host" (dict "root" $.root "component" .)) }}{{ $own = ternary "kserve" . (eq . "llm") }}{{ end }}
{{- end }}
{{- if $own -}}
to: [{{ $own }}]
ports: [{{ $port }}]
{{- else -}}
{{- if $rule.cidr -}}
toPeers: [{ipBlock: {cidr: {{ $rule.cidr | quote }}}}]
{{- else if $rule.namespace -}}
toPeers: [{namespaceSelector: {matchLabels: {{ toJson $rule.namespace }}}}]
{{- else if regexMatch "^[^.]+\\.[^.]+\\.svc(\\.|$)" $host -}}
toPeers: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ index (splitList "." $host) 1 }}}}}]
{{- else if not (contains "." $host) -}}
toPeers: [{podSelector: {}}]
{{- else -}}
fault: {{ printf "networkPolicy.%s: %s is %s, which is outside this release, and a NetworkPolicy cannot name a host; write networkPolicy.%s.cidr (10.1.2.3/32, or 0.0.0.0/0) or networkPolicy.%s.namespace (its labels), or networkPolicy.enabled: false" .name .setting .address .name .name | quote }}
{{- end }}
ports: [{{ $rule.port | default $port }}]
{{- end }}
{{- end }}

{{/* parley.edges: who speaks to whom, and why. Both sides' NetworkPolicies are made from this one
     table. `from` and `to` are components of the release, `fromPeers` and `toPeers` are outside it;
     an edge whose side is empty is none. A `fault` is for validations.yaml. */}}
{{- define "parley.edges" -}}
{{- $v := .Values }}
{{- $np := $v.networkPolicy }}
{{- $settings := include "parley.settings" . | fromYaml }}
{{- $workers := list }}
{{- $serving := dict }}
{{- $keda := false }}
{{- range $name, $worker := include "parley.workers" . | fromYaml }}
{{- $component := printf "worker-%s" $name }}
{{- $workers = append $workers $component }}
{{- range $worker.pools }}
{{- $_ := set $serving . (append (get $serving . | default list) $component) }}
{{- end }}
{{- if and $worker.autoscaling.enabled (eq $worker.autoscaling.kind "keda") }}{{ $keda = true }}{{ end }}
{{- end }}
{{- $stt := get $serving "stt" | default list }}
{{- $retrieval := get $serving "retrieval" | default list }}
{{- $llm := get $serving "llm" | default list }}
{{- $tts := get $serving "tts" | default list }}
{{- $avatar := get $serving "avatar" | default list }}
{{- $action := get $serving "action" | default list }}
{{- $knowledge := ternary (list "knowledge") list $v.knowledge.enabled }}
{{- $jobs := concat (ternary (list "setup") list $v.temporal.setup.enabled) (ternary (list "promote") list (eq $v.versioning.kind "promote")) }}
{{- $renderers := list }}
{{- range $v.kiosks }}{{ $renderers = append $renderers (printf "avatar-%s" .id) }}{{ end }}

{{- if or $v.ingress.enabled $v.gatewayAPI.enabled $v.istio.enabled }}
- why: kiosks, by the way in
  fromPeers: [{namespaceSelector: {matchLabels: {{ toJson $np.ingressNamespace }}}}]
  to: [gateway]
  ports: [8080]
{{- end }}
{{- $kiosks := list }}
{{- range $np.kioskCIDRs | default (list "0.0.0.0/0" "::/0") }}
{{- $kiosks = append $kiosks (dict "ipBlock" (dict "cidr" .)) }}
{{- end }}
{{- if ne $v.gateway.service.type "ClusterIP" }}
- why: kiosks, by a Service that is open to the outside
  fromPeers: {{ toJson $kiosks }}
  to: [gateway]
  ports: [8080]
{{- end }}
- why: the avatars' video (WebRTC), from the kiosks
  fromPeers: {{ toJson $kiosks }}
  to: {{ toJson $renderers }}
  protocol: UDP
- why: the avatars' video (WebRTC), to the kiosks
  from: {{ toJson $renderers }}
  toPeers: {{ toJson $kiosks }}
  protocol: UDP
{{- with $np.clients.gateway }}
- why: further clients of the gateway
  fromPeers: {{ toJson . }}
  to: [gateway]
  ports: [8080]
{{- end }}
- why: the avatars' signalling
  from: {{ toJson $renderers }}
  to: [gateway]
  ports: [8080]
- why: sound and text of an answer, on the media plane
  from: {{ concat $stt $llm $tts $avatar | uniq | toJson }}
  to: [gateway]
  ports: [8090]
{{- if $v.tests.enabled }}
- why: helm test
  from: [test]
  to: [gateway]
  ports: [8080]
{{- end }}
{{- if $v.monitoring.serviceMonitor.enabled }}
- why: Prometheus
  fromPeers: [{namespaceSelector: {matchLabels: {{ toJson $np.monitoringNamespace }}}}]
  to: {{ concat (list "gateway") $workers $knowledge | toJson }}
  ports: [9100]
- why: Prometheus, for the figures of searches
  fromPeers: [{namespaceSelector: {matchLabels: {{ toJson $np.monitoringNamespace }}}}]
  to: {{ ternary (list "qdrant") list $v.qdrant.enabled | toJson }}
  ports: [6333]
- why: Prometheus, for the figures of inference
  fromPeers: [{namespaceSelector: {matchLabels: {{ toJson $np.monitoringNamespace }}}}]
  to: {{ ternary (list "kserve") list $v.kserve.enabled | toJson }}
  ports: [8080]
{{- end }}

- why: Temporal, for signals, tasks and queries
  from: {{ concat (list "gateway") $workers $jobs | toJson }}
  {{- include "parley.server" (dict "root" . "address" $settings.temporal "name" "temporal" "setting" "temporal.address") | nindent 2 }}
{{- if $v.temporal.devServer.enabled }}
{{- if $keda }}
- why: KEDA asks for the backlog of the queues
  fromPeers: [{namespaceSelector: {matchLabels: {{ toJson $np.kedaNamespace }}}}]
  to: [temporal]
  ports: [7233]
{{- end }}
{{- if eq $v.versioning.kind "controller" }}
- why: Temporal's Worker Controller asks which versions have conversations
  fromPeers: [{namespaceSelector: {matchLabels: {{ toJson $np.controllerNamespace }}}}]
  to: [temporal]
  ports: [7233]
{{- end }}
{{- end }}

{{- with $settings.speech }}
- why: speech, to hear and to speak; the gateway asks whether it is up
  from: {{ concat (list "gateway") $stt $tts | uniq | toJson }}
  {{- include "parley.server" (dict "root" $ "address" . "name" "speech" "setting" "speaches.url") | nindent 2 }}
{{- end }}
{{- with $settings.turn_url }}
- why: the turn-completion model
  from: {{ toJson $stt }}
  {{- include "parley.server" (dict "root" $ "address" . "name" "turn" "setting" "config.turn_url") | nindent 2 }}
{{- end }}
{{- with $settings.qdrant }}
- why: Qdrant, for the store's knowledge; the gateway asks whether it is up
  from: {{ concat (list "gateway") $retrieval $knowledge | uniq | toJson }}
  {{- include "parley.server" (dict "root" $ "address" . "name" "qdrant" "setting" "qdrant.address") | nindent 2 }}
{{- end }}
{{- $thinks := has ($settings.llm | default "auto") (list "auto" "ollama") }}
{{- $embeds := ne ($settings.embed | default "auto") "none" }}
{{- with $settings.ollama }}
- why: Ollama, to think and to embed; the gateway asks whether it is up
  from: {{ concat (list "gateway") (ternary $llm list $thinks) (ternary (concat $retrieval $knowledge) list $embeds) | uniq | toJson }}
  {{- include "parley.server" (dict "root" $ "address" . "name" "ollama" "setting" "ollama.url") | nindent 2 }}
{{- end }}
{{- with ternary $settings.llm_url "" (eq ($settings.llm | default "auto") "openai") }}
- why: the language model, to think
  from: {{ toJson $llm }}
  {{- include "parley.server" (dict "root" $ "address" . "name" "llm" "setting" "config.llm_url") | nindent 2 }}
{{- end }}
{{- range $service, $url := $settings.action_url | default dict }}
- why: {{ printf "the action service %s" $service | quote }}
  from: {{ toJson $action }}
  {{- include "parley.server" (dict "root" $ "address" $url "name" "action" "setting" (printf "config.action_url.%s" $service)) | nindent 2 }}
{{- end }}

{{- if $v.codec.enabled }}
- why: the Temporal UI's pages ask for decrypted payloads
  fromPeers: [{namespaceSelector: {matchLabels: {{ toJson $np.ingressNamespace }}}}]
  to: [codec]
  ports: [8234]
{{- end }}

{{- if $v.minio.enabled }}
- why: models
  from: {{ ternary (list "kserve") list $v.kserve.enabled | toJson }}
  to: [minio]
  ports: [9000]
{{- with $np.clients.minio }}
- why: further clients of MinIO
  fromPeers: {{ toJson . }}
  to: [minio]
  ports: [9000]
{{- end }}
{{- end }}

{{- if $v.postgres.enabled }}
- why: replication, and who is primary, among the database's pods
  from: [postgres]
  to: [postgres]
  ports: [5432, 8000]
- why: the operator asks the instance manager
  fromPeers: [{namespaceSelector: {matchLabels: {{ toJson $np.postgresOperatorNamespace }}}}]
  to: [postgres]
  ports: [8000]
- why: the instance manager asks Kubernetes who is primary
  from: [postgres]
  toPeers: [{ipBlock: {cidr: {{ $np.kubernetesAPI.cidr | quote }}}}]
  ports: {{ toJson $np.kubernetesAPI.ports }}
{{- if $v.postgres.backup.enabled }}
- why: backups
  from: [postgres]
  {{- include "parley.server" (dict "root" . "address" ($v.postgres.backup.endpointURL | default "https://s3.amazonaws.com") "name" "backup" "setting" "postgres.backup.endpointURL") | nindent 2 }}
{{- end }}
{{- with $np.clients.postgres }}
- why: the databases' users
  fromPeers: {{ toJson . }}
  to: [postgres]
  ports: [5432]
{{- end }}
{{- if $v.postgres.monitoring }}
- why: Prometheus
  fromPeers: [{namespaceSelector: {matchLabels: {{ toJson $np.monitoringNamespace }}}}]
  to: [postgres]
  ports: [9187]
{{- end }}
{{- end }}

{{- if $np.modelDownloads.enabled }}
- why: models that are not on their volume yet
  from: {{ concat (ternary (list "ollama") list $v.ollama.enabled) (ternary (list "speaches") list $v.speaches.enabled) (ternary (list "kserve") list $v.kserve.enabled) | toJson }}
  toPeers: [{ipBlock: {{ dict "cidr" $np.modelDownloads.cidr "except" $np.modelDownloads.except | toJson }}}]
  ports: [{{ $np.modelDownloads.port }}]
{{- end }}
{{- $known := concat (list "gateway" "knowledge" "speaches" "speech" "ollama" "qdrant" "kserve" "postgres" "minio" "temporal" "codec" "setup" "promote") $workers $renderers }}
{{- $running := concat (list "gateway") $workers $knowledge $jobs $renderers }}
{{- range $component, $enabled := dict "speaches" $v.speaches.enabled "speech" $v.embeddedSpeech.enabled "ollama" $v.ollama.enabled "qdrant" $v.qdrant.enabled "kserve" $v.kserve.enabled "postgres" $v.postgres.enabled "minio" $v.minio.enabled "temporal" $v.temporal.devServer.enabled "codec" $v.codec.enabled "test" $v.tests.enabled }}
{{- if $enabled }}{{ $running = append $running $component }}{{ end }}
{{- end }}
{{- range $np.egress }}
{{- if not (has .component (append $known "*")) }}
- fault: {{ printf "networkPolicy.egress: %q is no component; write one of %s, or * for all" .component (join ", " $known) | quote }}
{{- else }}
- why: {{ .why | default "networkPolicy.egress" | quote }}
  from: {{ ternary $running (list .component) (eq .component "*") | toJson }}
  {{- if .cidr }}
  toPeers: [{ipBlock: {cidr: {{ .cidr | quote }}}}]
  {{- else }}
  toPeers:
    -
      {{- with .namespace }}
      namespaceSelector: {matchLabels: {{ toJson . }}}
      {{- end }}
      {{- with .pods }}
      podSelector: {matchLabels: {{ toJson . }}}
      {{- end }}
  {{- end }}
  ports: [{{ .port }}]
  protocol: {{ .protocol | default "TCP" }}
{{- end }}
{{- end }}
{{- end }}

{{/* parley.optionalFaults: what is wrong with the values of the optional parts, as a YAML list
     for validations.yaml. */}}
{{- define "parley.optionalFaults" -}}
{{- $v := .Values }}
{{- $faults := list }}
{{- if and $v.ingress.enabled (not $v.ingress.host) }}
{{- $faults = append $faults "ingress.host: empty; write the name under which the kiosks open their page, such as parley.store1.example" }}
{{- end }}
{{- if and $v.gatewayAPI.enabled (not $v.gatewayAPI.parentRefs) }}
{{- $faults = append $faults "gatewayAPI.parentRefs: empty; write the Gateway that serves the kiosks, such as [{name: shared, namespace: gateways}]" }}
{{- end }}
{{- if and $v.istio.enabled (not $v.istio.hosts) }}
{{- $faults = append $faults "istio.hosts: empty; write the names under which the kiosks open their page, such as [parley.store1.example]" }}
{{- end }}
{{- if and $v.rbac.operators.enabled (not $v.rbac.operators.subjects) }}
{{- $faults = append $faults "rbac.operators.subjects: empty; write who watches this store, such as [{kind: Group, name: store1-operators}]" }}
{{- end }}

{{- $scaled := dict "gateway.autoscaling" $v.gateway.autoscaling }}
{{- /* With a key alone KEDA trusts the authorities that it knows; without either it speaks no TLS. */}}
{{- $tls := and $v.temporal.tls.enabled (not $v.temporal.devServer.enabled) }}
{{- $deaf := and $tls (not $v.temporal.tls.mutual) (or $v.temporal.tls.existingSecret (not (has "temporal_api_key" $v.secrets.keys))) }}
{{- range $name, $worker := include "parley.workers" . | fromYaml }}
{{- $_ := set $scaled (printf "workers.%s.autoscaling" $name) $worker.autoscaling }}
{{- if and $deaf $worker.autoscaling.enabled (eq $worker.autoscaling.kind "keda") }}
{{- $faults = append $faults "autoscaling.kind: KEDA asks a Temporal with TLS only with temporal.tls.mutual, or with temporal_api_key where the authority is one that browsers know; set one of them, or write hpa" }}
{{- end }}
{{- if and $worker.autoscaling.enabled (has "conversation" $worker.pools) (eq $v.versioning.kind "controller") }}
{{- $faults = append $faults (printf "workers.%s.autoscaling: with versioning.kind controller each version is scaled by itself; write a WorkerResourceTemplate in extraObjects, and enabled: false here" $name) }}
{{- end }}
{{- end }}
{{- range $where, $scaling := $scaled }}
{{- if and $scaling.enabled (gt (int $scaling.minReplicas) (int $scaling.maxReplicas)) }}
{{- $faults = append $faults (printf "%s: minReplicas (%d) is more than maxReplicas (%d)" $where (int $scaling.minReplicas) (int $scaling.maxReplicas)) }}
{{- end }}
{{- end }}
{{- if eq $v.versioning.kind "controller" }}
{{- if and (eq $v.versioning.controller.strategy "Progressive") (not $v.versioning.controller.steps) }}
{{- $faults = append $faults "versioning.controller.steps: empty; write [{rampPercentage: 10, pauseDuration: 10m}], or strategy: AllAtOnce" }}
{{- end }}
{{- if and $v.temporal.tls.enabled (not $v.temporal.devServer.enabled) (not $v.temporal.tls.mutual) (not (has "temporal_api_key" $v.secrets.keys)) }}
{{- $faults = append $faults "versioning.kind: Temporal's Worker Controller speaks TLS with a certificate of its own or an API key alone; set temporal.tls.mutual, add temporal_api_key to secrets.keys, or write promote" }}
{{- end }}
{{- end }}

{{- $es := $v.externalSecrets }}
{{- if $es.enabled }}
{{- $lost := list }}
{{- range $v.secrets.keys }}
{{- if not (or $es.path (get (get $es.remoteRefs . | default dict) "key")) }}{{ $lost = append $lost . }}{{ end }}
{{- end }}
{{- with $lost }}
{{- $faults = append $faults (printf "externalSecrets.path: empty; write where %s are in the store, such as store1/parley, or a key for each in externalSecrets.remoteRefs" (join ", " .)) }}
{{- end }}
{{- if and $es.vault.enabled (not $es.vault.server) }}
{{- $faults = append $faults "externalSecrets.vault.server: empty; write Vault's address, such as https://vault.example:8200" }}
{{- end }}
{{- if and $es.vault.enabled (not $es.vault.role) }}
{{- $faults = append $faults "externalSecrets.vault.role: empty; write Vault's role that may read the secrets" }}
{{- end }}
{{- end }}

{{- if $v.kserve.enabled }}
{{- if $v.config.llm_url }}
{{- $faults = append $faults "kserve.enabled: config.llm_url names another language model; remove one of the two" }}
{{- end }}
{{- if not (or $v.kserve.servingRuntime.create $v.kserve.servingRuntime.name) }}
{{- $faults = append $faults "kserve.servingRuntime.name: empty; write the runtime that is there, or create: true" }}
{{- end }}
{{- end }}
{{- $pg := $v.postgres }}
{{- if $pg.enabled }}
{{- if not $pg.image.repository }}
{{- with include "parley.olderThan" (dict "root" $ "version" "1.35") }}
{{- $faults = append $faults (printf "postgres.image.repository: Kubernetes %s has no image volumes for pgvector as an extension (1.35 has); write an image of PostgreSQL with pgvector" .) }}
{{- end }}
{{- end }}
{{- if and $pg.backup.enabled (not $pg.backup.destinationPath) }}
{{- $faults = append $faults "postgres.backup.destinationPath: empty; write where backups go, such as s3://backups/store1" }}
{{- end }}
{{- if and $pg.backup.enabled (not $pg.backup.credentialsSecret) }}
{{- $faults = append $faults "postgres.backup.credentialsSecret: empty; write the Secret with ACCESS_KEY_ID and ACCESS_SECRET_KEY" }}
{{- end }}
{{- end }}
{{- if and $v.minio.enabled (not $v.minio.existingSecret) }}
{{- $faults = append $faults "minio.existingSecret: empty; write the Secret with root-user and root-password" }}
{{- end }}

{{- if $v.networkPolicy.enabled }}
{{- range include "parley.edges" . | fromYamlArray }}
{{- with .fault }}{{ $faults = append $faults . }}{{ end }}
{{- end }}
{{- end }}
{{- toYaml ($faults | uniq) }}
{{- end }}
