"""The groups of settings: each variable with its default, as workers of gmi-ieops know them."""

from __future__ import annotations

from .variables import EnvGroup, EnvVar

_KIB = 1024


class AppEnv(EnvGroup):
    """What the worker is called."""

    name = EnvVar("APP_NAME", "ieops", str, "Name of the application, and of its endpoint")
    atype = EnvVar("APP_TYPE", "self-host", str, "Type of the application: gmi-host or forward")


class LogEnv(EnvGroup):
    """Where log lines go."""

    path = EnvVar("LOG_FILE_PATH", "/var/log/ieops", str, "Folder of log files")
    level = EnvVar("LOG_LEVEL", "INFO", str, "Lowest level that is written")
    file_enabled = EnvVar("LOG_FILE_ENABLED", False, bool, "Also write to a file")


class ServerEnv(EnvGroup):
    """Where the worker listens: a unix socket, or TCP.

    `socket` set to a path is that socket, set to an empty text TCP. Where it is not set at all, a
    `port` that is set and above 0 is TCP; otherwise the socket has a name of its own in
    `socket_dir`.
    """

    socket = EnvVar("MODEL_SERVER_SOCKET", "", str, "Path of the unix socket; empty for TCP")
    socket_dir = EnvVar(
        "MODEL_SERVER_SOCKET_DIR",
        "",
        str,
        "Folder of the unix socket; empty for the working directory",
        older_names=("SERVER_SOCKET_DIR",),
    )
    host = EnvVar("MODEL_SERVER_HOST", "127.0.0.1", str, "Address to listen at, for TCP")
    port = EnvVar("MODEL_SERVER_PORT", 8001, int, "Port to listen at; 0 for the unix socket")
    graceful_shutdown_time = EnvVar(
        "GRACEFUL_SHUTDOWN_TIME", 3, int, "Seconds that running calls have at shutdown"
    )


class ModelEnv(EnvGroup):
    """What is served, and how much at once."""

    path = EnvVar("MODEL_PATH", "", str, "Folder of the model")
    name = EnvVar("MODEL_NAME", "model", str, "Name of the model")
    timeout = EnvVar("MODEL_TIMEOUT", 600, int, "Seconds that one inference may take")
    concurrency = EnvVar("MODEL_THREAD_CONCURRENCY", 8, int, "Calls at once")
    tensor_parallel_size = EnvVar("TENSOR_PARALLEL_SIZE", 1, int, "Devices of one model")
    infer_engine = EnvVar("MODEL_INFER_ENGINE", "vllm", str, "Engine of the model")
    tokenizer_name = EnvVar("TOKENIZER_NAME", "transformers", str, "Kind of the tokenizer")


class DeviceEnv(EnvGroup):
    """What the model runs on."""

    cuda_visible = EnvVar("CUDA_VISIBLE_DEVICES", "0", str, "GPUs that may be used")
    device = EnvVar("DEVICE", "auto", str, "Device: cuda, cpu or auto")
    torch_dtype = EnvVar("TORCH_DTYPE", "float16", str, "Type of PyTorch's numbers")
    cuda_home = EnvVar("CUDA_HOME", "/usr/local/cuda", str, "Folder of CUDA")
    ld_library_path = EnvVar("LD_LIBRARY_PATH", "", str, "Where libraries are looked for")


class ApiEnv(EnvGroup):
    """Keys of services."""

    gmi_api_key = EnvVar("GMI_API_KEY", "", str, "Key of the GMI API")


class StorageEnv(EnvGroup):
    """Storage behind `gmifs://`: whose it is, and where it is."""

    pid = EnvVar("IEOPS_STORAGE_PID", "u-00000000", str, "Id of the storage")
    fs_name = EnvVar("IEOPS_STORAGE_FS_NAME", "jfs-dev", str, "Name of the file system")
    oid = EnvVar("IEOPS_STORAGE_OID", "gmicloud.ieops", str, "Id of the organisation")
    uid = EnvVar("IEOPS_STORAGE_UID", "gmicloud.ieops", str, "Id of the user")

    nfs_server = EnvVar("IEOPS_NFS_SERVER", "", str, "NFS server, host:port; empty for none")
    write_chunk_size = EnvVar(
        "IEOPS_NFS_WRITE_CHUNK_SIZE", 512 * _KIB, int, "Bytes of one write, 1 MiB at most"
    )
    read_chunk_size = EnvVar(
        "IEOPS_NFS_READ_CHUNK_SIZE", 512 * _KIB, int, "Bytes of one read, 1 MiB at most"
    )
    timeout = EnvVar("IEOPS_NFS_TIMEOUT", 30_000, int, "Milliseconds that NFS may take")

    webdav_url = EnvVar("IEOPS_WEBDAV_URL", "", str, "WebDAV server; empty for none")
    webdav_user = EnvVar("IEOPS_WEBDAV_USER", "", str, "User at the WebDAV server")
    webdav_pass = EnvVar("IEOPS_WEBDAV_PASS", "", str, "Password at the WebDAV server")
    webdav_timeout = EnvVar("IEOPS_WEBDAV_TIMEOUT", 30, int, "Seconds that WebDAV may take")


class RegisterEnv(EnvGroup):
    """How the worker makes itself known."""

    enabled = EnvVar("REGISTER_ENABLED", True, bool, "Register with the proxy")
    interval = EnvVar("REGISTER_INTERVAL", 10, int, "Seconds between two registrations")
    proxy_socket = EnvVar(
        "IEOPS_PROXY_SOCKET", "/var/run/ieops/proxy.sock", str, "Unix socket of the proxy"
    )
    brslet_socket = EnvVar(
        "IEOPS_BRSLET_SOCKET", "/var/run/ieops/brslet.sock", str, "Unix socket of the node's daemon"
    )
    provider = EnvVar("IEOPS_PROVIDER", "gmi", str, "Who provides the machine")


class SSLEnv(EnvGroup):
    """Certificates."""

    cert_file = EnvVar("SSL_CERT_FILE", "", str, "File of certificates")
    cert_dir = EnvVar("SSL_CERT_DIR", "", str, "Folder of certificates")
    requests_ca_bundle = EnvVar("REQUESTS_CA_BUNDLE", "", str, "Certificates for requests")


class BillingEnv(EnvGroup):
    """Whose usage is counted."""

    enabled = EnvVar("BILLING_ENABLED", True, bool, "Collect usage")
    org_id_header = EnvVar("BILLING_ORG_HEADER", "X-Org-Id", str, "Header with the organisation")
    model_header = EnvVar("BILLING_MODEL_HEADER", "X-Model", str, "Header with the model")


class ModelSyncEnv(EnvGroup):
    """The copy of a model that the node makes before the worker starts."""

    model_from = EnvVar("MODEL_FROM", "", str, "Where the model comes from: gmifs:// or hf://")
    model_path = EnvVar("MODEL_PATH", "/data/models", str, "Folder of the model")
    sync_result_file = EnvVar(
        "MODEL_SYNC_RESULT_FILE", ".model_sync_status", str, "File that tells how far it is"
    )
    wait_enabled = EnvVar("MODEL_SYNC_WAIT_ENABLED", True, bool, "Wait for the copy")
    wait_timeout = EnvVar("MODEL_SYNC_WAIT_TIMEOUT", 86_400, int, "Seconds to wait at most")
    wait_interval = EnvVar("MODEL_SYNC_WAIT_INTERVAL", 1, int, "Seconds between two looks")


class MetricsEnv(EnvGroup):
    """Where the metrics of the engine behind the worker are."""

    path = EnvVar("METRICS_ENDPOINT_PATH", "metrics", str, "Path of the metrics")
    port: int = 0
    """Port of the metrics; no variable sets it."""
