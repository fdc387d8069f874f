// The one table of configuration options. Typed access, validation, etc/andiron/andiron.conf.sample and docs/config.md all
// come from it: to add an option, add a row here, run `npm run gen`, and read it as config.group.name.
//
// - Names and meanings are Cinder's wherever the meaning is the same.
// - A default may refer to other options of its group or of [DEFAULT] by $name, and to what the program knows by itself:
//   $hostname, $default_state_path (`var` below a checkout, else /var/lib/andiron), $config_dir (where the first configuration
//   file is, else /etc/andiron), and in a backend's group $backend_name.
// - Times are in seconds, sizes in bytes, unless the help says otherwise.

import { type Option, bool, float, host, int, list, oneOf, path, port, string } from "./option-types.ts";

const gibibyte = 1024 ** 3;
const mebibyte = 1024 ** 2;

/** By Cinder's names too. */
const backupDrivers = [
  "posix",
  "swift",
  "s3",
  "cinder.backup.drivers.posix.PosixBackupDriver",
  "cinder.backup.drivers.swift.SwiftBackupDriver",
  "cinder.backup.drivers.s3.S3BackupDriver",
] as const;
const objectSize = " Each backup that is written or restored takes some of them of memory.";
const objectSizes = { min: mebibyte, max: 62 * mebibyte };

/** How a service proves itself to Keystone, by keystoneauth's names. */
function credentialOptions() {
  return {
    auth_type: oneOf(
      ["password", "v3password", "v3applicationcredential"],
      "password",
      "How this service proves itself to Keystone.",
    ),
    auth_url: string("", "Keystone's URL for this service."),
    username: string("", "This service's user."),
    password: string("", "Password of username."),
    user_domain_name: string("Default", "Domain of username, unless user_domain_id is given."),
    user_domain_id: string("", "Domain of username, by its id."),
    project_name: string("service", "Project of username, unless project_id is given."),
    project_id: string("", "Project of username, by its id."),
    project_domain_name: string("Default", "Domain of project_name, unless project_domain_id is given."),
    project_domain_id: string("", "Domain of project_name, by its id."),
    application_credential_id: string("", "Id of the application credential, for v3applicationcredential."),
    application_credential_secret: string("", "Secret of the application credential."),
    cafile: path("", "PEM file with the authorities that sign the other services' certificates. Empty: the system's."),
    insecure: bool(false, "Trust any certificate. For tests only."),
  } as const satisfies Record<string, Option<unknown>>;
}

export const optionGroups = {
  DEFAULT: {
    osapi_volume_listen: host("127.0.0.1", "Address on which the Block Storage API listens."),
    osapi_volume_listen_port: port(8776, "Port on which the Block Storage API listens."),
    osapi_volume_use_ssl: bool(false, "Serve the API over HTTPS, with the files of [ssl]."),
    osapi_max_limit: int(1000, "The most items that one answer to a list request holds.", { min: 1, max: 10_000 }),
    osapi_max_request_body_size: int(114_688, "The longest request body that the API reads, in bytes.", { min: 1024 }),
    public_endpoint: string(
      "",
      "URL under which clients reach the API, without /v3, for links in answers. When it has a path, such as /volume, the API " +
        "answers below that path too. Empty: the request's own.",
    ),
    host: string("$hostname", "Name of this host in service lists and pool names. Unique in the cloud, and stable."),
    state_path: path("$default_state_path", "Directory of everything that this host keeps. One service at a time uses it."),
    my_ip: host("127.0.0.1", "Address of this host that other hosts reach."),
    debug: bool(false, "Log at level DEBUG. Read again on SIGHUP."),
    use_json: bool(false, "Log JSON objects (oslo.log's JSONFormatter fields) instead of lines."),
    log_file: path("", "File to log to, below log_dir unless absolute. Empty: standard error. Opened anew on SIGHUP."),
    log_dir: path("", "Directory of log files; without log_file the file is named after the program."),
    auth_strategy: oneOf(
      ["noauth", "keystone"],
      "noauth",
      "Who may call the API. noauth: anyone who reaches it, with the project that the URL names, so it is refused on any " +
        "but a loopback address. keystone: who bears a token of Keystone; see [keystone_authtoken].",
    ),
    storage_availability_zone: string("nova", "Availability zone of this host."),
    default_availability_zone: string("", "Zone of a volume whose request names none. Empty: storage_availability_zone."),
    allow_availability_zone_fallback: bool(false, "Take the default zone when a request names one that is not there."),
    enabled_backends: list(["vpool1"], "Groups of this file that describe a backend (a vPool) each."),
    default_volume_type: string("__DEFAULT__", "Volume type of a volume whose request names none."),
    quota_volumes: int(10, "Volumes a project may have. -1: any number.", { min: -1 }),
    quota_snapshots: int(10, "Snapshots a project may have. -1: any number.", { min: -1 }),
    quota_gigabytes: int(1000, "Size of all volumes and snapshots of a project, in GiB. -1: any.", { min: -1 }),
    quota_backups: int(10, "Backups a project may have. -1: any number.", { min: -1 }),
    quota_backup_gigabytes: int(1000, "Size of all backups of a project, in GiB. -1: any.", { min: -1 }),
    quota_groups: int(10, "Volume groups a project may have. -1: any number.", { min: -1 }),
    per_volume_size_limit: int(-1, "The largest volume, in GiB. -1: any size.", { min: -1 }),
    no_snapshot_gb_quota: bool(false, "Leave snapshots out of the quota on gigabytes."),
    max_over_subscription_ratio: float(
      20,
      "Provisioned capacity of a pool whose group says nothing of it, as a multiple of its real one.",
      { min: 1 },
    ),
    reserved_percentage: int(0, "Share of a pool whose group says nothing of it that is kept free, in percent.", {
      min: 0,
      max: 100,
    }),
    service_down_time: int(60, "Seconds without a sign of life after which a service is listed as down.", { min: 1 }),
    graceful_shutdown_timeout: int(60, "Seconds that a stopping process gives its requests to finish. 0: no limit.", { min: 0 }),
    glance_api_servers: list([], "URLs of Glance, tried in this order. Empty: the catalogue has it, by glance_catalog_info."),
    glance_catalog_info: string(
      "image:glance:publicURL",
      "Which entry of the catalogue is Glance: its type, a name that is not looked at, and the endpoint's interface.",
    ),
    glance_num_retries: int(3, "How often a request to Glance is repeated while it cannot be reached.", { min: 0 }),
    glance_request_timeout: int(60, "Seconds that Glance has to connect, to answer, and between two pieces of an image.", {
      min: 1,
    }),
    glance_api_insecure: bool(false, "Trust any certificate of Glance. For tests only."),
    glance_ca_certificates_file: path("", "PEM file with the authorities that sign Glance's certificate. Empty: the system's."),
    verify_glance_signatures: oneOf(
      ["enabled", "disabled"],
      "enabled",
      "Verify images that are signed, by the certificate in the key manager that they name.",
    ),
    image_conversion_dir: path("$state_path/conversion", "Directory for images that have to be converted, while it takes."),
    image_conversion_cpu_limit: int(
      60,
      "Seconds of CPU time that the conversion of an image may take for each GiB of its disk; five times that to compress it.",
      { min: 1 },
    ),
    image_conversion_address_space_limit: int(1, "Memory that the conversion of an image may take, in GiB.", { min: 1 }),
    image_conversion_disable: bool(false, "Refuse images that would have to be converted: all but raw and iso."),
    image_compress_on_upload: bool(true, "Compress the image that is made of a volume, where its format can do that: qcow2."),
    enable_force_upload: bool(false, "Let images be made of volumes in use, for requests with force."),
    vmdk_allowed_types: list(
      ["streamOptimized", "monolithicSparse"],
      "Types of VMDK images that are accepted; those of several files never are. Empty: none.",
    ),
    backup_driver: oneOf(
      ["none", ...backupDrivers],
      "none",
      "Store of backups: a directory, Swift or S3, also by the names of Cinder's drivers. none: there are no backups.",
    ),
    backup_posix_path: path("$state_path/backup", "Directory of backups, for posix. It belongs to backups alone."),
    backup_container: string("volumebackups", "Container of a backup whose request names none, for posix."),
    backup_file_size: int(16 * mebibyte, `Bytes of a volume in one object, for posix.${objectSize}`, objectSizes),
    backup_compression_algorithm: oneOf(
      ["none", "off", "no", "zlib", "gzip", "zstd"],
      "zstd",
      "How the objects of new backups are compressed. gzip is another name for zlib, off and no are for none.",
    ),
    backup_encryption_key_file: path(
      "",
      "File with the keys under which backups are encrypted: lines of an id and 32 bytes in hex. The first one is for new " +
        "backups; keep the others for as long as there are backups under them. Empty: backups are not encrypted.",
    ),
    backup_timer_interval: int(120, "Seconds between two notifications of how far a backup is.", { min: 1 }),
    backup_swift_auth_version: oneOf(
      ["1", "3"],
      "1",
      "How this service proves itself to Swift: 1 with backup_swift_auth_url, 3 with Keystone, and the catalogue's object-store.",
    ),
    backup_swift_auth_url: string("", "URL of an authentication of version 1, such as http://HOST:8080/auth/v1.0."),
    backup_swift_user: string("", "User of an authentication of version 1."),
    backup_swift_key: string("", "Key of backup_swift_user."),
    backup_swift_container: string("volumebackups", "Swift's container of all backups. It is made when it is not there."),
    backup_swift_object_size: int(16 * mebibyte, `Bytes of a volume in one object, for swift.${objectSize}`, objectSizes),
    backup_swift_ca_cert_file: path("", "PEM file with the authorities that sign Swift's certificate. Empty: the system's."),
    backup_swift_auth_insecure: bool(false, "Trust any certificate of Swift. For tests only."),
    backup_s3_endpoint_url: string("", "URL of S3, such as https://s3.eu-central-1.amazonaws.com."),
    backup_s3_region: string("us-east-1", "Region of S3, as requests are signed for it."),
    backup_s3_store_access_key: string("", "Access key of S3."),
    backup_s3_store_secret_key: string("", "Secret key of backup_s3_store_access_key."),
    backup_s3_store_bucket: string("volumebackups", "S3's bucket of all backups. It is made when it is not there."),
    backup_s3_object_size: int(16 * mebibyte, `Bytes of a volume in one object, for s3.${objectSize}`, objectSizes),
    backup_s3_verify_ssl: bool(true, "Verify the certificate of S3. Turn it off for tests only."),
    backup_s3_ca_cert_file: path("", "PEM file with the authorities that sign S3's certificate. Empty: the system's."),
    transport_url: string(
      "",
      "RabbitMQ: rabbit://USER:PASSWORD@HOST:PORT[,USER:PASSWORD@HOST:PORT...]/VHOST. See [oslo_messaging_notifications].",
    ),
    control_exchange: string("openstack", "Exchange of the notifications."),
    message_ttl: int(2_592_000, "Seconds for which a user message is kept.", { min: 1 }),
  },
  oslo_messaging_notifications: {
    driver: oneOf(
      ["noop", "messaging", "messagingv2"],
      "noop",
      "What tells other services of the cloud what happens: nothing, or RabbitMQ; messagingv2 with oslo.messaging's envelope, " +
        "messaging without it, for consumers of long ago.",
    ),
    topics: list(
      ["notifications"],
      "Topics of notifications. Each is sent to the queue TOPIC.info or TOPIC.error, of every topic.",
    ),
    transport_url: string("", "RabbitMQ for notifications. Empty: [DEFAULT] transport_url."),
    outbox_max: int(
      10_000,
      "Changes of which the notifications wait in the registry while RabbitMQ is away. Beyond that the newest are not told.",
      { min: 1, max: 1_000_000 },
    ),
  },
  oslo_messaging_rabbit: {
    ssl: bool(false, "Connect over TLS."),
    ssl_ca_file: path("", "PEM file with the authorities that sign RabbitMQ's certificate. Empty: the system's."),
    ssl_cert_file: path("", "PEM file with our own certificate, for a RabbitMQ that asks for one."),
    ssl_key_file: path("", "PEM file with the key of ssl_cert_file."),
    ssl_enforce_hostname_verification: bool(true, "RabbitMQ's certificate must be for the host that the URL names."),
    amqp_durable_queues: bool(false, "Declare exchange and queues durable; as those have it that are there already."),
    amqp_auto_delete: bool(false, "Declare exchange and queues so that they go with their last user."),
    rabbit_quorum_queue: bool(false, "Declare quorum queues; they are durable whatever amqp_durable_queues says."),
    heartbeat_timeout_threshold: int(60, "Seconds after which a silent RabbitMQ counts as away. 0: it never does.", { min: 0 }),
    kombu_failover_strategy: oneOf(
      ["round-robin", "shuffle"],
      "round-robin",
      "Which host of the URL is tried first: the first, or any. After a failure it is the next.",
    ),
    rabbit_retry_interval: int(1, "Seconds until RabbitMQ is tried again.", { min: 1 }),
    rabbit_retry_backoff: int(2, "Seconds by which that grows with each failure.", { min: 0 }),
    rabbit_interval_max: int(30, "The most seconds until RabbitMQ is tried again.", { min: 1 }),
  },
  ssl: {
    cert_file: path("", "PEM file with the API's certificate and its chain."),
    key_file: path("", "PEM file with the API's private key, without a passphrase."),
    ca_file: path("", "PEM file with the authorities that sign clients' certificates. When set, clients must show one."),
  },
  oslo_middleware: {
    enable_proxy_headers_parsing: bool(
      false,
      "Believe Forwarded or X-Forwarded-Proto, -Host, -Port and -For, and X-Forwarded-Prefix. Only behind a proxy that sets " +
        "them itself and drops what clients send.",
    ),
  },
  registry: {
    connection: path(
      "$state_path/registry.db",
      "Path of the SQLite file of the Object Registry. All processes of a host share it.",
    ),
  },
  nbd: {
    listen: host("127.0.0.1", "Address on which the NBD server listens."),
    port: port(10_809, "Port on which the NBD server listens."),
    unix_socket: path("", "Unix socket on which the NBD server listens too. Empty: none."),
    advertised_hosts: list(["$my_ip"], "Addresses of the NBD server in connection_info, in order of preference."),
    tls_mode: oneOf(["off", "allow", "require"], "off", "TLS on NBD connections: never, when the client asks, or always."),
    tls_cert_file: path("", "PEM file with the server's certificate and its chain."),
    tls_key_file: path("", "PEM file with the server's private key."),
    tls_ca_file: path("", "PEM file with the authorities that sign clients' certificates."),
    tls_verify_peer: bool(false, "Refuse TLS clients without a certificate of tls_ca_file."),
    connections_max: int(1024, "Connections at a time; one more is closed at once.", { min: 1, max: 65_536 }),
    handshake_timeout: int(30, "Seconds that a client has to finish its handshake.", { min: 1 }),
    busy_poll: int(
      100,
      "Microseconds after an answer for which the server looks for the next request instead of sleeping, " +
        "while clients come back sooner than that; four times as long for the disk, when one request waits. " +
        "Costs processor time, saves the time to wake up. 0: never.",
      { min: 0, max: 1000 },
    ),
  },
  engine: {
    journal_path: path("$state_path/journal", "Directory of the write journal. Put it on a local SSD."),
    journal_bytes_max: int(4 * gibibyte, "Local disk that the journal may take; writers slow down as it fills.", {
      min: 64 * mebibyte,
    }),
    journal_direct_io: bool(
      true,
      "Write large appends to the journal past the system's page cache (O_DIRECT), where its file system can.",
    ),
    cache_bytes: int(256 * mebibyte, "Memory for the read cache.", { min: 4 * mebibyte }),
    cache_dedupe: bool(
      false,
      "Keep equal clusters of different disks once in cache_bytes: room for time. Clones share without it.",
    ),
    read_cache_path: path("$state_path/read-cache", "Directory of the read cache on a local SSD."),
    read_cache_bytes: int(0, "Local SSD for blocks that were read of a slow backend. 0: none.", { min: 0 }),
    segment_bytes: int(16 * mebibyte, "Size at which a segment of a disk's log is sealed and stored on the backend.", {
      min: mebibyte,
      max: 256 * mebibyte,
    }),
    cleaner_dead_percent: int(50, "Dead share of a segment above which the cleaner rewrites it, in percent.", {
      min: 5,
      max: 95,
    }),
    read_ahead_bytes: int(
      4 * mebibyte,
      "What is read ahead of a client that reads in order and misses the read cache; 0: nothing.",
      {
        min: 0,
        max: 64 * mebibyte,
      },
    ),
    map_cache_bytes: int(64 * mebibyte, "Memory for pages of the disks' maps.", { min: 4 * mebibyte }),
    checkpoint_bytes: int(256 * mebibyte, "Sealed journal of a disk beyond which a checkpoint is made.", { min: mebibyte }),
    checkpoint_entries: int(262_144, "Map entries of a disk in memory beyond which a checkpoint is made.", {
      min: 64,
      max: 1_000_000,
    }),
    cleaner_interval: float(30, "Seconds between two passes of the cleaner.", { min: 0.05 }),
    retired_grace: float(60, "Seconds for which an object that nobody refers to any more is kept.", { min: 0 }),
    backend_timeout: int(60, "Seconds after which an operation of a backend is given up, not counting a second per MiB.", {
      min: 1,
    }),
    lease_ttl: int(10, "Seconds after which a silent router loses its disks.", { min: 2, max: 300 }),
    main_thread_nice: int(
      -10,
      "Niceness of the thread that serves the disks, so that it need not wait for a processor; those that work for it keep the " +
        "process's. Takes CAP_SYS_NICE or LimitNICE=, and more than one processor; else, or with 0, it is as it was started.",
      { min: -20, max: 0 },
    ),
  },
  jobs: {
    running_max: int(8, "Long jobs at a time in this process.", { min: 1, max: 1000 }),
    running_per_project_max: int(4, "Long jobs of one project at a time.", { min: 1, max: 1000 }),
    waiting_max: int(10_000, "Long jobs that have not ended; a request for one more is refused with 413.", {
      min: 1,
      max: 100_000,
    }),
    waiting_per_project_max: int(1000, "Long jobs of one project that have not ended; one more is refused with 413.", {
      min: 1,
      max: 100_000,
    }),
    tries_max: int(10, "Failures of a job without any progress after which it is given up.", { min: 1, max: 100 }),
    ended_kept: int(100, "Ended jobs of a project that are kept for andiron-manage jobs.", { min: 0, max: 10_000 }),
    ended_ttl: int(604_800, "Seconds for which an ended job is kept.", { min: 0 }),
    lease_ttl: int(10, "Seconds after which another process takes over the jobs of a silent one.", { min: 2, max: 300 }),
  },
  keystone_authtoken: {
    ...credentialOptions(),
    www_authenticate_uri: string("$auth_url", "Keystone's URL for clients, told with every 401."),
    interface: string("internal", "Interface of Keystone's endpoint in the catalogue: internal, public or admin."),
    region_name: string("", "Region of Keystone's endpoint in the catalogue. Empty: any."),
    http_connect_timeout: int(10, "Seconds after which Keystone counts as away, for a connection and for an answer.", { min: 1 }),
    http_request_max_retries: int(3, "How often a request is sent again while Keystone is away.", { min: 0, max: 10 }),
    token_cache_time: int(
      300,
      "Seconds for which a good token is not looked up again; a revoked one lives on as long. -1: none.",
      {
        min: -1,
      },
    ),
    service_token_roles: list(["service"], "A service token with one of these roles lets an expired user token pass."),
    service_token_roles_required: bool(true, "Refuse service tokens without one of service_token_roles."),
    service_type: string("block-storage", "Name of this service in access rules of application credentials."),
  },
  nova: {
    ...credentialOptions(),
    interface: string("public", "Interface of Nova's endpoint in the catalogue: internal, public or admin."),
    region_name: string("", "Region of Nova's endpoint in the catalogue. Empty: any."),
    timeout: int(10, "Seconds after which Nova counts as away, for a connection and for an answer.", { min: 1 }),
  },
  service_user: {
    ...credentialOptions(),
    send_service_user_token: bool(false, "Send a token of this user as X-Service-Token with requests to other services."),
  },
  key_manager: {
    backend: oneOf(
      ["barbican", "castellan.key_manager.barbican_key_manager.BarbicanKeyManager", "cinder.keymgr.conf_key_mgr.ConfKeyManager"],
      "barbican",
      "Where the keys of encrypted volumes are: in Barbican, or one for all volumes in the configuration of who encrypts " +
        "(ConfKeyManager, for tests only).",
    ),
    fixed_key: string("", "The one key of ConfKeyManager, in hex. Nova has it too; here it only says that there is one."),
  },
  barbican: {
    barbican_endpoint: string("", "Barbican's URL. Empty: the catalogue has it."),
    barbican_api_version: string("v1", "Version of Barbican's API, for a URL that does not end with one."),
    barbican_endpoint_type: oneOf(
      ["public", "internal", "admin"],
      "public",
      "Interface of Barbican's endpoint in the catalogue.",
    ),
    barbican_region_name: string("", "Region of Barbican's endpoint in the catalogue. Empty: any."),
    number_of_retries: int(60, "How often a key that Barbican was told to make is looked at until it is there.", { min: 1 }),
    retry_delay: int(1, "Seconds between two such looks.", { min: 0 }),
    verify_ssl: bool(true, "Barbican's certificate must be good."),
    verify_ssl_path: path("", "PEM file with the authorities that sign Barbican's certificate. Empty: the system's."),
    send_service_user_token: bool(false, "Send the token of [service_user] along, as X-Service-Token."),
  },
  oslo_policy: {
    policy_file: path("$config_dir/policy.yaml", "File of policy rules that replace the defaults. It need not be there."),
    enforce_new_defaults: bool(true, "Go by reader, member and admin alone. false: any role in the project will do, as before."),
  },
  healthcheck: {
    disable_by_file_path: path("", "While this file exists /healthcheck answers 503, which takes the node out of a balancer."),
  },
} as const;

/** The options of a backend's group, one group for each name in enabled_backends. */
export const backendOptions = {
  volume_backend_name: string("$backend_name", "Name of the backend, to be matched by a volume type's extra specs."),
  max_over_subscription_ratio: float(
    "${DEFAULT.max_over_subscription_ratio}",
    "Provisioned capacity of this pool, as a multiple of its real one.",
    { min: 1 },
  ),
  reserved_percentage: int("${DEFAULT.reserved_percentage}", "Share of this pool that is kept free, in percent.", {
    min: 0,
    max: 100,
  }),
  image_volume_cache_enabled: bool(
    false,
    "Keep the images that volumes are made of in this pool, so that the next ones are clones.",
  ),
  image_volume_cache_max_size_gb: int(0, "Size of all images that are kept in this pool, in GiB. 0: any.", { min: 0 }),
  image_volume_cache_max_count: int(0, "Images that are kept in this pool. 0: any number.", { min: 0 }),
  backend_type: oneOf(["file"], "file", "Where segments are kept. file: in a directory."),
  file_path: path("$state_path/backend/$backend_name", "Directory of the segments; several hosts may share it."),
} as const;
