"""What the two versions of gmi-ieops offer by name, ours offers too, with the same settings."""

import json
import subprocess
import sys

import pytest
from ieops.yard import VERSIONS, python_of

# Prints each module's public names, the settings of an empty environment, and signatures.
LOOK = """
import inspect, json, os, sys
from gmi_ieops import config, handler, storage, utils
from gmi_ieops.config import env

def parameters(thing):
    return [[p.name, repr(p.default)] for p in inspect.signature(thing).parameters.values()]

names = {m.__name__: list(m.__all__) for m in (config, handler, storage, utils)}
shapes = {
    name: parameters(getattr(handler, name))
    for name in ("RouterDef", "RouterConfig", "Server", "Handler", "format_error_response")
}
shapes["FileSystem"] = parameters(storage.FileSystem)
shapes["SubprocessManager"] = parameters(utils.SubprocessManager)
shapes["create_http_health_check"] = parameters(utils.create_http_health_check)
members = {
    name: {m.name: m.value for m in getattr(handler, name)} for name in ("RouterKind", "HTTPMethod")
}
codes = {name: getattr(handler, name) for name in names["gmi_ieops.handler"] if "CODE" in name}
sys.stdout.write("\\n" + json.dumps([names, env.to_dict(), shapes, members, codes]))
"""

# Where the versions differ, ours follows the seed, 0.2.9.
SETTINGS_OF_0_5_8 = {("server", "port")}


def look(who, folder):
    done = subprocess.run(
        [python_of(who), "-c", LOOK],
        env={"LOG_FILE_PATH": str(folder), "PATH": "/usr/bin"},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def looks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("looks")
    return {who: look(who, folder) for who in ("ours", *VERSIONS)}


@pytest.mark.parametrize("version", VERSIONS)
def test_every_public_name_can_be_imported(looks, version):
    theirs, ours = looks[version][0], looks["ours"][0]
    missing = {module: set(names) - set(ours[module]) for module, names in theirs.items()}
    assert not any(missing.values()), missing


@pytest.mark.parametrize("version", VERSIONS)
def test_every_setting_has_the_same_default(looks, version):
    theirs, ours = looks[version][1], looks["ours"][1]
    differing = {
        (group, name)
        for group, values in theirs.items()
        for name, value in values.items()
        if ours[group].get(name, "absent") != value
    }
    assert differing == (SETTINGS_OF_0_5_8 if version == "0.5.8" else set())


@pytest.mark.parametrize("version", VERSIONS)
def test_arguments_have_the_same_names_and_order(looks, version):
    theirs, ours = looks[version][2], looks["ours"][2]
    for name, parameters in theirs.items():
        own = [parameter for parameter, _ in ours[name]]
        wanted = [parameter for parameter, _ in parameters]
        # `order` came with 0.3.5, before `timeout`: by position, only one version can be right.
        if name == "RouterDef" and version == "0.2.9":
            own.remove("order")
        assert own[: len(wanted)] == wanted, name


@pytest.mark.parametrize("version", VERSIONS)
def test_kinds_methods_and_codes_are_the_same(looks, version):
    assert looks["ours"][3:] == looks[version][3:]


def test_an_absent_name_tells_why():
    code = "from gmi_ieops.handler import Engine; Engine(service_port=1)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "NotImplementedError: Engine of gmi-ieops is not part of Modelyard: " in done.stderr


def test_a_class_of_an_absent_name_tells_why():
    code = "from gmi_ieops.handler import LoadCalculator\nclass Mine(LoadCalculator): pass"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "NotImplementedError: LoadCalculator of gmi-ieops is not part" in done.stderr
