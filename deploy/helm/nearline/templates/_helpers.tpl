{{- define "nearline.name" -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "nearline.serviceAccount" -}}
{{ .Values.serviceAccount.name | default (ternary (include "nearline.name" .) "default" .Values.serviceAccount.create) }}
{{- end }}

{{- define "nearline.labels" -}}
app.kubernetes.io/name: nearline
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- /* Of one part: dict "root" $ "part" "gate" */ -}}
{{- define "nearline.selector" -}}
app.kubernetes.io/name: nearline
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end }}

{{- define "nearline.image" -}}
{{- $image := index .root.Values.images .part -}}
{{ $image.repository }}:{{ $image.tag | default .root.Chart.AppVersion }}
{{- end }}

{{- /* What every pod has in common: dict "root" $ "part" "gate" */ -}}
{{- define "nearline.pod" -}}
serviceAccountName: {{ include "nearline.serviceAccount" .root }}
automountServiceAccountToken: false
terminationGracePeriodSeconds: {{ .root.Values.terminationGracePeriodSeconds }}
{{- with .root.Values.images.pullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- with .root.Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "nearline.selector" . | nindent 8 }}
volumes:
  - name: config
    configMap: {name: {{ include "nearline.name" .root }}}
  - name: tmp
    emptyDir: {}
  {{- with .root.Values.secretName }}
  - name: secrets
    secret: {secretName: {{ . }}, defaultMode: 0440}
  {{- end }}
  {{- with .root.Values.tlsSecretName }}
  - name: tls
    secret: {secretName: {{ . }}, defaultMode: 0440}
  {{- end }}
  {{- with .root.Values.index.existingClaim }}
  - name: index
    persistentVolumeClaim: {claimName: {{ . }}, readOnly: true}
  {{- end }}
{{- end }}

{{- define "nearline.container" -}}
image: {{ include "nearline.image" . }}
imagePullPolicy: {{ (index .root.Values.images .part).pullPolicy }}
env:
  - {name: NEARLINE_CONFIG, value: /etc/nearline/config/nearline.yaml}
  {{- if .root.Values.secretName }}
  - {name: NEARLINE_SECRETS, value: /etc/nearline/secrets}
  {{- end }}
resources: {{- toYaml (index .root.Values .part).resources | nindent 2 }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
volumeMounts:
  - {name: config, mountPath: /etc/nearline/config, readOnly: true}
  - {name: tmp, mountPath: /tmp}
  {{- if .root.Values.secretName }}
  - {name: secrets, mountPath: /etc/nearline/secrets, readOnly: true}
  {{- end }}
  {{- if .root.Values.tlsSecretName }}
  - {name: tls, mountPath: /etc/nearline/tls, readOnly: true}
  {{- end }}
  {{- if .root.Values.index.existingClaim }}
  - {name: index, mountPath: {{ .root.Values.index.mountPath }}, readOnly: true}
  {{- end }}
{{- end }}
