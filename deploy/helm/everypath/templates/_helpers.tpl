{{- define "everypath.name" -}}
{{- if contains "everypath" .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-everypath" .Release.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{/* Called with a dict: root, component. */}}
{{- define "everypath.selector" -}}
app.kubernetes.io/name: everypath
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "everypath.labels" -}}
{{ include "everypath.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{/* Called with a dict: root, image. */}}
{{- define "everypath.image" -}}
{{ printf "%s:%s" .image.repository (.image.tag | default .root.Chart.AppVersion) }}
{{- end }}

{{- define "everypath.lockedDown" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{- define "everypath.hasDatabase" -}}
{{- if or .Values.aggregator.database.url .Values.aggregator.database.existingSecret }}yes{{ end }}
{{- end }}

{{- define "everypath.databaseSecret" -}}
{{ .Values.aggregator.database.existingSecret | default (printf "%s-database" (include "everypath.name" .)) }}
{{- end }}

{{- define "everypath.advertise" -}}
{{- if .Values.aggregator.advertise }}{{ join "," .Values.aggregator.advertise }}
{{- else }}{{ printf "https://%s-aggregator.%s.svc:%v" (include "everypath.name" .) .Release.Namespace .Values.aggregator.service.port }}{{ end }}
{{- end }}

{{/* What can be wrong about values together; the schema knows only about each by itself. */}}
{{- define "everypath.check" -}}
{{- $aggregator := .Values.aggregator }}
{{- if not (or $aggregator.enabled .Values.agent.enabled) }}{{ fail "nothing is enabled: set aggregator.enabled or agent.enabled" }}{{ end }}
{{- if $aggregator.enabled }}
{{- if not (include "everypath.hasDatabase" .) }}
{{- if or (gt (int $aggregator.replicas) 1) $aggregator.autoscaling.enabled }}{{ fail "several replicas need a database: set aggregator.database" }}{{ end }}
{{- end }}
{{- if and $aggregator.database.url (not $aggregator.database.key) (not $aggregator.database.existingSecret) }}{{ fail "aggregator.database.url needs aggregator.database.key, made by `aggregator keygen`" }}{{ end }}
{{- if gt (int $aggregator.autoscaling.min) (int $aggregator.autoscaling.max) }}{{ fail "aggregator.autoscaling.min is above max" }}{{ end }}
{{- end }}
{{- if and .Values.agent.enabled (not .Values.agent.token) (not .Values.agent.existingSecret) }}{{ fail "agents need a token: set agent.token or agent.existingSecret" }}{{ end }}
{{- end }}

{{/* The same for the replicas and for the job that migrates. */}}
{{- define "everypath.databaseEnvironment" -}}
- name: EVERYPATH_AGGREGATOR_DATABASE__URL
  valueFrom: { secretKeyRef: { name: {{ include "everypath.databaseSecret" . }}, key: url } }
- { name: EVERYPATH_AGGREGATOR_DATABASE__KEY_FILE, value: /etc/everypath/database.key }
- { name: EVERYPATH_AGGREGATOR_DATABASE__CONNECTIONS, value: {{ .Values.aggregator.database.connections | quote }} }
{{- end }}

{{- define "everypath.keyVolume" -}}
secret:
  secretName: {{ include "everypath.databaseSecret" . }}
  defaultMode: 0440
  items:
    - { key: database.key, path: database.key }
{{- end }}

{{/*
/metrics answers on a program's own loopback only. This container is in the same network and passes that one path on.
Called with a dict: root, image, page.
*/}}
{{- define "everypath.metricsContainer" -}}
- name: metrics
  image: {{ .image }}
  command: [haproxy, -f, /etc/metrics/metrics.cfg]
  env:
    - { name: PAGE, value: {{ .page | quote }} }
  ports:
    - { name: metrics, containerPort: 9180 }
  securityContext: {{- include "everypath.lockedDown" .root | nindent 4 }}
  resources:
    requests: { cpu: 10m, memory: 16Mi }
    limits: { memory: 64Mi }
  volumeMounts:
    - { name: metrics, mountPath: /etc/metrics, readOnly: true }
{{- end }}

{{- define "everypath.metricsVolume" -}}
- name: metrics
  configMap: { name: {{ include "everypath.name" . }}-metrics }
{{- end }}
