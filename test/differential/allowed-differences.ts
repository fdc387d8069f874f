// Where Andiron may answer otherwise than Cinder 21.3, and why. The first entry that matches explains a difference; one that
// explains none fails the test. Patterns are for "key | where | what Cinder says | what Andiron says" (allowance.ts).

import type { Allowed } from "./allowance.ts";

export const allowedDifferences: readonly Allowed[] = [
  {
    kind: "newer than the reference",
    reason: "Andiron has 3.71, and says so where it names its newest microversion",
    pattern: /"(3\.70|Version .*maximum is 3\.70\.)" \| ".*3\.71/,
  },
  {
    kind: "host, time or id",
    reason: "what Andiron makes is ready when it is answered; Cinder makes it afterwards, and counts that as a change",
    pattern: /create(Volume|VolumeStrict|Snapshot)\b.* \| body\.\w+\.status \| "creating" \| "available"$/,
  },
  {
    kind: "host, time or id",
    reason: "and so what was made has not been changed since",
    pattern: / \| body\.(volumes?|snapshots?)(\[\])?\.updated_at \| "\{time\.6\}" \| null$/,
  },
  {
    kind: "host, time or id",
    reason: "loggers have the names of the program's own modules, and Andiron's API is its scheduler",
    pattern: /getServiceLogs.* \| body\.log_levels/,
  },
  {
    kind: "host, time or id",
    reason: "after Cinder's sentence stands which filter left no pool, with the figures of the pools at that moment",
    pattern: /Message.* \| body\.messages?(?:\[\])?\.user_message \| "(.*weighted backend\.)" \| "\1 \(/,
  },
  {
    kind: "host, time or id",
    reason: "on which of two equal back ends a volume lies is chance",
    pattern: /(showHost|listPools).* \| body\.(host|pools)\b.*(length|count|_gb|allocated|\.project) \|/,
  },
  {
    kind: "capability of a driver",
    reason: "what a pool can do and how it is named",
    pattern: /(listPools|showCapabilities).* \| body/,
  },
  {
    kind: "capability of a driver",
    reason: "an export belongs to one attachment, so that nobody has to lock a target",
    pattern: / \| body\.volumes?(\[\])?\.(shared_targets|service_uuid) \|/,
  },
  {
    kind: "capability of a driver",
    reason: "how a host reaches the volume",
    pattern: /(initializeConnection|Attachment).* \| body\.(attachments?(\[\])?\.)?connection_info\b/,
  },
  {
    kind: "capability of a driver",
    reason: "in how many objects a backup is, and in which container when nobody names one",
    pattern: /(showBackup|listBackupsDetailed).* \| body\.backups?(\[\])?\.(object_count|container) \|/,
  },
  {
    kind: "host, time or id",
    reason: "a backup's record names the project, the host and where the bytes are, in base64",
    pattern: /exportBackup.* \| body\.backup-record\.backup_url \|/,
  },
  {
    kind: "bug of Cinder",
    reason: "500: update() in api/v3/backups.py looks into the null that its schema allows",
    pattern: /updateBackup(WithMetadata)?, backup null .* \| status \| 500 \| 200$/,
  },
  {
    kind: "newer than the reference",
    reason: "os-extend_volume_completion came with 3.71 (Cinder does not ask for it): to 21.3 it is no action",
    pattern:
      /completeVolumeExtension.* \| (status \| 400 \| 40[34]$|body\.badRequest\.message \| "There is no such action: os-e)/,
  },
  {
    kind: "capability of a driver",
    reason: "the reference's driver cannot extend",
    pattern: /listVolumesDetailed.* \| body\.volumes\[\]\.(status|size) \| ("error_extending"|1) \| ("available"|2)$/,
  },
  {
    kind: "bug of Cinder",
    reason:
      "_attachment_get() in db/sqlalchemy/api.py takes project_only=True and hands it to nobody: an attachment of another " +
      "project is found, and shown by show() in api/v3/attachments.py, which asks no rule; the others say 403, not 404",
    pattern: /(show|update|delete|complete)Attachment, by the stranger/,
  },
  {
    kind: "bug of Cinder",
    reason: "check_host() in api/contrib/hosts.py lists the hosts, which only administrators can, before update() asks the rule",
    pattern: /updateHost, by the (stranger|member) .* \| body\.forbidden\.message \| "User does not have admin privileges"/,
  },
  {
    kind: "bug of Cinder",
    reason: "update() in api/contrib/hosts.py calls lower() of whatever it is given, a list too: 500",
    pattern: /updateHost, status \[\] .* \| status \| 500 \| 400$/,
  },
  {
    kind: "bug of Cinder",
    reason: "500: set_host_enabled() in volume/api.py raises NotImplementedError",
    pattern: /: updateHost \(good, .* \| status \| 500 \| 200$/,
  },
  {
    kind: "bug of Cinder",
    reason:
      "message_get_all() in db/sqlalchemy/api.py pages over _messages_get_query() with its default, project_only=False: " +
      "everybody is shown everybody's messages",
    pattern: /listMessages.* \| body\.messages(\.length|_links|\[\])/,
  },
  {
    kind: "bug of Cinder",
    reason: "an answer with an Etag is JSON under text/html in Cinder 21.3",
    pattern: /Metadata.* \| headers\.content-type \| "text\/html; charset=UTF-8" \| "application\/json"$/,
  },
  {
    kind: "bug of Cinder",
    reason: "a refusal of cinder-volume ends with the traceback of that process (oslo.messaging's remote errors)",
    pattern: / \| body\.\w+\.message \| ".*\\nTraceback /,
  },
  {
    kind: "bug of Cinder",
    reason:
      "500, for an exception that nobody catches: os-detach of null, an unknown key of a volume's encryption " +
      "(show() in api/contrib/volume_encryption_metadata.py), a list as a transfer's name " +
      "(_validate_name_skip_leading_trailing_spaces() in api/validation/validators.py), " +
      "an attachment of a volume in error (update() in api/v3/attachments.py makes 500 of InvalidVolume)",
    pattern: /(detachVolume|showVolumeEncryptionItem|Transfer|TransferWithSnapshots|updateAttachment)\b.* \| status \| 500 \|/,
  },
  {
    kind: "bug of Cinder",
    reason: "so that there is a body where Andiron, as Cinder otherwise, has none",
    pattern: /(detachVolume|showVolumeEncryptionItem) \(.* \| headers\.content-type \| "application\/json" \| "\(none\)"$/,
  },
  {
    kind: "bug of Cinder",
    reason: "Cinder prints the repr of a class where the names of consumers belong",
    pattern: /QosSpecs.* \| .*QoSConsumerValues\(/,
  },
  {
    kind: "bug of Cinder",
    reason:
      "attachment_update() in volume/api.py answers with the record that it read before cinder-volume changed it, " +
      "so that status, attach_mode and attached_at are those of before",
    pattern:
      /(update|create)Attachment\w* \(good, .* \| body\.attachment\.(status|attach_mode|attached_at) \| "(reserved|null|)" \|/,
  },
  {
    kind: "bug of Cinder",
    reason:
      "show() in api/contrib/volume_type_access.py looks the cached type up by the id of the request, " +
      "which is 'default' here, and so leaves out whether it is public",
    pattern: /showDefaultType.* \| body\.volume_type\.os-volume-type-access:is_public \| "\(none\)" \| true$/,
  },
  {
    kind: "bug of Cinder",
    reason: "get_project() in api/api_utils.py asks Keystone with the caller's token, and nobody catches Keystone's 403: 500",
    pattern: /ProjectDefaultType, by the stranger .* \| status \| 500 \| 403$/,
  },
  {
    kind: "bug of Cinder",
    reason: "create_or_update in api/schemas/default_types.py does not require default_type, which create_update() takes: 500",
    pattern: /setProjectDefaultType, \{\} .* \| status \| 500 \| 400$/,
  },
  {
    kind: "bug of Cinder",
    reason: "_validate_progress() in api/validation/validators.py gives a list to int(), whose exception becomes the message",
    pattern: /updateSnapshotStatus, .*progress \[\] .* \| body\.badRequest\.message \| "int\(\) argument/,
  },
  {
    kind: "bug of Cinder",
    reason: "update() in api/v3/group_types.py means to refuse an empty name, and looks only at names that are not empty",
    pattern: /updateGroupType \(bad body, .* \| status \| 200 \| 400$/,
  },
  {
    kind: "capability of a driver",
    reason: "the reference's driver wants a connector to have an initiator",
    pattern: /initializeConnection \(bad body, .* \| status \| 400 \| 200$/,
  },
  {
    kind: "host, time or id",
    reason: "the older API of groups has no schemas in Cinder, and its own sentences for a wrong body",
    pattern: /(ConsistencyGroup|Cgsnapshot)\w*,?.* \(bad body, .* \| body\.badRequest\.message \|/,
  },
  {
    kind: "bug of Cinder",
    reason: "500 for a list where the older API of groups means text",
    pattern: /(ConsistencyGroup|Cgsnapshot)\w*, .* \[\] \(bad body, .* \| status \| 500 \| 400$/,
  },
  {
    kind: "capability of a driver",
    reason: "the reference's drivers make no consistency groups",
    pattern: /ConsistencyGroup.* \| body\.consistencygroups?(\[\])?\.status \| "(error|creating)" \| "available"$/,
  },
];
