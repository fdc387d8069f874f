// Where Andiron's notifications may be other than Cinder 21.3's, and why. The first entry that matches explains a difference;
// one that explains none fails the test. Patterns are for "key | where | what Cinder says | what Andiron says".

import type { Allowed } from "../differential/allowance.ts";

export const allowedDifferences: readonly Allowed[] = [
  {
    kind: "bug of Cinder",
    reason: "what cleans a context of secrets loses the domains: it writes them under one name and reads them under another",
    pattern: / \| told\.message\._context_(user_domain|project_domain|user_identity) \| (null|".* - - -") \| ".*default"$/,
  },
  {
    kind: "host, time or id",
    reason: "Cinder's database keeps whole seconds, the registry milliseconds",
    pattern: / \| told\.message\.payload\.(created|launched)_at \| "\{time\}\+00:00" \| "\{time\.6\}\+00:00"$/,
  },
  {
    kind: "host, time or id",
    reason: "the token of a request is not kept for the job that it leaves: the owner is named, without his roles",
    pattern:
      /(cascade\}|snapshot \{one\}|group\.delete\.end).* \| told\.message\._context_(roles\.length|roles\[\]|project_name) \|/,
  },
  {
    kind: "host, time or id",
    reason: "the same of what the jobs of backups tell; an administrator who deletes one by force is not named either",
    pattern: / backup\.(createprogress|(create|restore|delete)\.end) \| told\.message\._context_\w+(\.length|\[\])? \|/,
  },
  {
    kind: "capability of a driver",
    reason: "where the bytes of a backup are, and as what",
    pattern: / backup\.\S+ \| told\.message\.payload\.(service_metadata|id|list|prefix|volume_meta) \|/,
  },
  {
    kind: "host, time or id",
    reason: "which service makes a backup is known when it is asked for",
    pattern: / backup\.create\.start \| told\.message\.payload\.service \| null \| "\{service\}"$/,
  },
  {
    kind: "bug of Cinder",
    reason: "a record that is of no use counts in the quota with its size, and has none; what it lacks is told in any order",
    pattern: /backup \{m\}: \S+ \| told\.message\.payload\.(size \| 0 \| 1|fail_reason \| .*missing fields.*missing fields.*)$/,
  },
  {
    kind: "bug of Cinder",
    reason: "a snapshot that is reverted to is told without its metadata, which was not loaded",
    pattern: /snapshot\.revert\.(start|end) \| told\.message\.payload\.metadata \| "" \|/,
  },
  {
    kind: "host, time or id",
    reason: "the volume is told by its properties, once; reservations are not known here",
    pattern:
      /scheduler\.create_volume \| told\.message\.payload\.(request_spec\.)?(volume|\w+_properties\.reservations\.length) \|/,
  },
  {
    kind: "host, time or id",
    reason: "after Cinder's sentence stands which filter left no pool",
    pattern: /scheduler\.create_volume \| told\.message\.payload\.reason \| "NoValidBackend\(.*" \| "NoValidBackend\('No valid/,
  },
  {
    kind: "host, time or id",
    reason: "an attachment is told without the volume that it is told with",
    pattern: / \| told\.message\.payload\.volume_attachment\[\]\.volume \| \{.* \| "\(none\)"$/,
  },
  {
    kind: "capability of a driver",
    reason: "how a host reaches the volume; and an export belongs to one attachment, in the old family of calls too",
    pattern: / \| told\.message\.payload\.volume_attachment\[\]\.(connection_info|connector) \|/,
  },
  {
    kind: "host, time or id",
    reason: "an attachment that was made has not been changed since",
    pattern: / \| told\.message\.payload\.volume_attachment\[\]\.updated_at \| "\{time\.6\}" \| null$/,
  },
  {
    kind: "bug of Cinder",
    reason: "made with a connector, an attachment has no mode in Cinder",
    pattern: / \| told\.message\.payload\.volume_attachment\[\]\.attach_mode \| (null \| "null"|"null" \| "rw")$/,
  },
  {
    kind: "bug of Cinder",
    reason: "the times of QoS specs are told as they were before the change",
    pattern: /qos_specs\.(create|delete_keys) \| told\.message\.payload\.(created|updated)_at \| null \| "\{time\.6\}"$/,
  },
];
