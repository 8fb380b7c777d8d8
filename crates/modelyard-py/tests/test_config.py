"""The settings of a worker: names, defaults, conversions, and when they are read."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import Any

import pytest

from modelyard.config import Env, EnvGroup, EnvVar, ServerEnv, get_socket_path
from modelyard.config.environment import env as the_settings

# Group and attribute, variable, default, a text, and what that text means.
VARIABLES: list[tuple[str, str, Any, str, Any]] = [
    ("app.name", "APP_NAME", "ieops", "chat", "chat"),
    ("app.atype", "APP_TYPE", "self-host", "gmi-host", "gmi-host"),
    ("log.path", "LOG_FILE_PATH", "/var/log/ieops", "/tmp/logs", "/tmp/logs"),
    ("log.level", "LOG_LEVEL", "INFO", "DEBUG", "DEBUG"),
    ("log.file_enabled", "LOG_FILE_ENABLED", False, "Yes", True),
    ("server.socket", "MODEL_SERVER_SOCKET", "", "/run/w.sock", "/run/w.sock"),
    ("server.socket_dir", "MODEL_SERVER_SOCKET_DIR", "", "/run", "/run"),
    ("server.socket_dir", "SERVER_SOCKET_DIR", "", "/run", "/run"),
    ("server.host", "MODEL_SERVER_HOST", "127.0.0.1", "0.0.0.0", "0.0.0.0"),
    ("server.port", "MODEL_SERVER_PORT", 8001, "9000", 9000),
    ("server.graceful_shutdown_time", "GRACEFUL_SHUTDOWN_TIME", 3, "10", 10),
    ("model.path", "MODEL_PATH", "", "/models", "/models"),
    ("model.name", "MODEL_NAME", "model", "qwen", "qwen"),
    ("model.timeout", "MODEL_TIMEOUT", 600, "30", 30),
    ("model.concurrency", "MODEL_THREAD_CONCURRENCY", 8, "64", 64),
    ("model.tensor_parallel_size", "TENSOR_PARALLEL_SIZE", 1, "2", 2),
    ("model.infer_engine", "MODEL_INFER_ENGINE", "vllm", "sglang", "sglang"),
    ("model.tokenizer_name", "TOKENIZER_NAME", "transformers", "own", "own"),
    ("device.cuda_visible", "CUDA_VISIBLE_DEVICES", "0", "0,1", "0,1"),
    ("device.device", "DEVICE", "auto", "cpu", "cpu"),
    ("device.torch_dtype", "TORCH_DTYPE", "float16", "bfloat16", "bfloat16"),
    ("device.cuda_home", "CUDA_HOME", "/usr/local/cuda", "/opt/cuda", "/opt/cuda"),
    ("device.ld_library_path", "LD_LIBRARY_PATH", "", "/opt/lib", "/opt/lib"),
    ("api.gmi_api_key", "GMI_API_KEY", "", "secret", "secret"),
    ("storage.pid", "IEOPS_STORAGE_PID", "u-00000000", "u-1", "u-1"),
    ("storage.fs_name", "IEOPS_STORAGE_FS_NAME", "jfs-dev", "jfs", "jfs"),
    ("storage.oid", "IEOPS_STORAGE_OID", "gmicloud.ieops", "o", "o"),
    ("storage.uid", "IEOPS_STORAGE_UID", "gmicloud.ieops", "u", "u"),
    ("storage.nfs_server", "IEOPS_NFS_SERVER", "", "10.0.0.1:32049", "10.0.0.1:32049"),
    ("storage.write_chunk_size", "IEOPS_NFS_WRITE_CHUNK_SIZE", 524288, "65536", 65536),
    ("storage.read_chunk_size", "IEOPS_NFS_READ_CHUNK_SIZE", 524288, "65536", 65536),
    ("storage.timeout", "IEOPS_NFS_TIMEOUT", 30000, "500", 500),
    ("storage.webdav_url", "IEOPS_WEBDAV_URL", "", "http://dav", "http://dav"),
    ("storage.webdav_user", "IEOPS_WEBDAV_USER", "", "me", "me"),
    ("storage.webdav_pass", "IEOPS_WEBDAV_PASS", "", "word", "word"),
    ("storage.webdav_timeout", "IEOPS_WEBDAV_TIMEOUT", 30, "5", 5),
    ("register.enabled", "REGISTER_ENABLED", True, "off", False),
    ("register.interval", "REGISTER_INTERVAL", 10, "1", 1),
    ("register.proxy_socket", "IEOPS_PROXY_SOCKET", "/var/run/ieops/proxy.sock", "/p", "/p"),
    ("register.brslet_socket", "IEOPS_BRSLET_SOCKET", "/var/run/ieops/brslet.sock", "/b", "/b"),
    ("register.provider", "IEOPS_PROVIDER", "gmi", "gcp", "gcp"),
    ("ssl.cert_file", "SSL_CERT_FILE", "", "/c.pem", "/c.pem"),
    ("ssl.cert_dir", "SSL_CERT_DIR", "", "/certs", "/certs"),
    ("ssl.requests_ca_bundle", "REQUESTS_CA_BUNDLE", "", "/ca.pem", "/ca.pem"),
    ("billing.enabled", "BILLING_ENABLED", True, "0", False),
    ("billing.org_id_header", "BILLING_ORG_HEADER", "X-Org-Id", "X-Org", "X-Org"),
    ("billing.model_header", "BILLING_MODEL_HEADER", "X-Model", "X-M", "X-M"),
    ("model_sync.model_from", "MODEL_FROM", "", "hf://m", "hf://m"),
    ("model_sync.model_path", "MODEL_PATH", "/data/models", "/m", "/m"),
    ("model_sync.sync_result_file", "MODEL_SYNC_RESULT_FILE", ".model_sync_status", "s", "s"),
    ("model_sync.wait_enabled", "MODEL_SYNC_WAIT_ENABLED", True, "no", False),
    ("model_sync.wait_timeout", "MODEL_SYNC_WAIT_TIMEOUT", 86400, "60", 60),
    ("model_sync.wait_interval", "MODEL_SYNC_WAIT_INTERVAL", 1, "2", 2),
    ("metrics.path", "METRICS_ENDPOINT_PATH", "metrics", "stats", "stats"),
]


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for _, variable, *_ in VARIABLES:
        monkeypatch.delenv(variable, raising=False)


def value(env: Env, path: str) -> Any:
    group, attribute = path.split(".")
    return getattr(getattr(env, group), attribute)


@pytest.mark.parametrize(("path", "variable", "default", "text", "meaning"), VARIABLES)
def test_a_variable_has_its_default_and_its_meaning(
    monkeypatch, path, variable, default, text, meaning
):
    group, attribute = path.split(".")
    unset = Env()
    assert value(unset, path) == default
    assert not getattr(unset, group).is_set(attribute)

    monkeypatch.setenv(variable, text)
    env = Env()
    assert value(env, path) == meaning
    assert type(value(env, path)) is type(default)
    assert getattr(env, group).is_set(attribute)
    assert env.to_dict()[group][attribute] == meaning


def test_no_variable_lacks_in_the_table():
    listed = {path for path, *_ in VARIABLES}
    declared = {f"{group}.{name}" for group, values in Env().to_dict().items() for name in values}
    assert declared == listed


def test_a_value_is_read_once_until_it_is_reloaded(monkeypatch):
    env = Env()
    assert env.model.timeout == 600
    monkeypatch.setenv("MODEL_TIMEOUT", "30")
    assert env.model.timeout == 600
    env.model.reload()
    assert env.model.timeout == 30
    monkeypatch.delenv("MODEL_TIMEOUT")
    env.reload()
    assert env.model.timeout == 600


def test_set_to_nothing_is_still_set(monkeypatch):
    monkeypatch.setenv("MODEL_SERVER_SOCKET", "")
    env = Env()
    assert env.server.socket == ""
    assert env.server.is_set("socket")
    assert not env.server.is_set("host")
    assert not env.server.is_set("no_such_thing")


def test_the_newer_name_wins_over_the_older(monkeypatch):
    monkeypatch.setenv("SERVER_SOCKET_DIR", "/old")
    monkeypatch.setenv("MODEL_SERVER_SOCKET_DIR", "/new")
    assert Env().server.socket_dir == "/new"


@pytest.mark.parametrize("text", ["true", "TRUE", "1", "yes", "Yes", "on", "ON"])
def test_texts_that_mean_yes(monkeypatch, text):
    monkeypatch.setenv("REGISTER_ENABLED", text)
    assert Env().register.enabled is True
    assert Env().get_bool("REGISTER_ENABLED") is True


@pytest.mark.parametrize("text", ["", "false", "0", "no", "off", "y", "enabled", " true"])
def test_texts_that_mean_no(monkeypatch, text):
    monkeypatch.setenv("REGISTER_ENABLED", text)
    assert Env().register.enabled is False
    assert Env().get_bool("REGISTER_ENABLED", True) is False


@pytest.mark.parametrize("text", ["", "eight", "8.5", "1e3"])
def test_a_group_names_the_variable_that_is_no_number(monkeypatch, text):
    monkeypatch.setenv("MODEL_THREAD_CONCURRENCY", text)
    with pytest.raises(ValueError, match="MODEL_THREAD_CONCURRENCY must be a whole number"):
        _ = Env().model.concurrency


def test_the_getters_fall_back_where_a_group_would_raise(monkeypatch):
    monkeypatch.setenv("BAD", "eight")
    env = Env()
    assert env.get_int("BAD", 5) == 5
    assert env.get_float("BAD", 0.5) == 0.5
    assert env.get_int("MISSING") == 0
    assert env.get_float("MISSING") == 0.0
    assert env.get("MISSING") is None
    assert env.get("MISSING", "default") == "default"


def test_lists_are_stripped_and_lose_their_empty_parts(monkeypatch):
    monkeypatch.setenv("PARTS", " a, b ,,c ")
    env = Env()
    assert env.get_list("PARTS") == ["a", "b", "c"]
    assert env.get_list("PARTS", sep=" ") == ["a,", "b", ",,c"]
    assert env.get_list("MISSING") == []
    default = ["x"]
    env.get_list("MISSING", default).append("y")
    assert default == ["x"]


def test_a_group_of_ones_own(monkeypatch):
    class Limits(EnvGroup):
        images = EnvVar("MAX_IMAGES", 4, int, "Images of one request")
        sizes = EnvVar("SIZES", ["small"], list)
        scale = EnvVar("SCALE", 1.0, float)

    monkeypatch.setenv("MAX_IMAGES", "9")
    monkeypatch.setenv("SIZES", "s, m")
    limits = Limits()
    assert (limits.images, limits.sizes, limits.scale) == (9, ["s", "m"], 1.0)
    assert isinstance(Limits.images, EnvVar)
    assert limits.get_var("images").description == "Images of one request"
    assert limits.get_var("images").get() == 9
    assert limits.get_var("nothing") is None


def test_a_group_that_forgets_its_parent_still_reads(monkeypatch):
    class Careless(ServerEnv):
        def __init__(self) -> None:
            self.extra = 1

    monkeypatch.setenv("MODEL_SERVER_HOST", "::1")
    ServerEnv.host.reload()
    assert Careless().host == "::1"
    monkeypatch.undo()
    ServerEnv.host.reload()


def test_the_socket_is_named_after_the_process(tmp_path, monkeypatch):
    from modelyard.config import APP_ID

    assert get_socket_path("/run/x") == f"/run/x/{APP_ID}.sock"
    monkeypatch.chdir(tmp_path)
    assert get_socket_path("") == f"{tmp_path}/{APP_ID}.sock"
    assert the_settings.get_socket_path("/run") == f"/run/{APP_ID}.sock"


@pytest.mark.parametrize(
    ("variables", "pattern"),
    [
        ({}, r"ieops\.[A-Za-z0-9]{8}"),
        ({"APP_NAME": "chat"}, r"chat\.[A-Za-z0-9]{8}"),
        ({"APP_NAME": ""}, r"ieops\.[A-Za-z0-9]{8}"),
        ({"APP_NAME": "chat", "IEOPS_WORKER_ID": "w-1"}, r"w-1"),
    ],
)
def test_the_id_of_a_process(variables, pattern):
    ids = {
        subprocess.run(
            [
                sys.executable,
                "-c",
                "import random; random.seed(1)\nfrom modelyard.config import APP_ID; print(APP_ID)",
            ],
            env=_environment(variables),
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for _ in range(2)
    }
    assert all(re.fullmatch(pattern, name) for name in ids)
    assert len(ids) == (1 if "IEOPS_WORKER_ID" in variables else 2)


def _environment(variables: dict[str, str]) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if k not in ("APP_NAME", "IEOPS_WORKER_ID")}
    return {**kept, **variables}
