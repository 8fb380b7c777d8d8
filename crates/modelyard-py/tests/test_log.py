"""Log lines of workers: their format, their fields, and the files they may go to."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import pytest

from modelyard.utils import log, uvicorn_logger
from modelyard.utils._log_files import RotatedFile, Rules

STAMP = r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\]"


@pytest.fixture
def lines(capsys):
    """What has been written since it was last asked, line by line."""
    log.set_logger(app_name="chat", log_level="TRACE", file_enabled=False)
    capsys.readouterr()
    yield lambda: capsys.readouterr().out.splitlines()
    log.set_logger(app_name="ieops", file_enabled=False)


@pytest.mark.parametrize(
    ("method", "shown"),
    [
        ("trace", "TRACE"),
        ("debug", "DEBUG"),
        ("info", "INFOO"),
        ("success", "SUCCESS"),
        ("warning", "WARNN"),
        ("error", "ERROR"),
        ("critical", "CRITICAL"),
    ],
)
def test_a_line_has_its_level_time_place_and_application(lines, method, shown):
    getattr(log, method)("hello")
    place = rf"pid:{os.getpid()}\|test_log\.py:\d+\|app:chat"
    (line,) = lines()
    assert re.fullmatch(rf"\[{shown}\] {STAMP} {place} --- hello", line)


def test_the_place_is_the_line_that_was_written(lines):
    log.info("here")
    number = sys._getframe().f_lineno - 1
    assert f"test_log.py:{number}|" in lines()[0]


def test_a_trace_id_stands_between_place_and_application(lines):
    log.get_logger(trace_id="traceid-1").info("hello")
    log.get_logger().info("without")
    log.get_logger(trace_id="").info("without")
    shown = lines()
    assert "|trace_id:traceid-1|app:chat --- hello" in shown[0]
    assert all("trace_id" not in line for line in shown[1:])


def test_fields_are_bound_to_a_copy(lines):
    bound = log.bind(trace_id="a")
    bound.bind(trace_id="b").info("2")
    bound.info("1")
    log.info("0")
    assert [re.findall(r"trace_id:(\w)", line) for line in lines()] == [["b"], ["a"], []]


def test_a_block_gives_its_fields_to_the_lines_of_its_thread(lines):
    with log.contextualize(trace_id="mine"):
        log.info("inside")
        thread = threading.Thread(target=log.info, args=("elsewhere",))
        thread.start()
        thread.join()
        with log.contextualize(trace_id="inner"):
            log.info("deeper")
    log.info("outside")
    shown = lines()
    assert ["trace_id:mine" in shown[0], "trace_id:inner" in shown[2]] == [True, True]
    assert "trace_id" not in shown[1] and "trace_id" not in shown[3]


def test_messages_are_formatted_only_with_arguments(lines):
    log.info("{} of {total}", 1, total=3)
    log.info('{"json": true} 100 %s')
    log.info({"a": 1})
    said = [line.split(" --- ")[1] for line in lines()]
    assert said == ["1 of 3", '{"json": true} 100 %s', "{'a': 1}"]


def test_an_exception_is_followed_by_its_traceback(lines):
    try:
        raise KeyError("voice")
    except KeyError as error:
        caught = error
        log.exception("it failed: {}", 7)
    log.opt(exception=caught).warning("told later")
    shown = lines()
    assert shown[0].endswith("--- it failed: 7")
    assert shown.count("KeyError: 'voice'") == 2
    assert shown[1] == "Traceback (most recent call last):"


def test_lazy_arguments_are_called_only_for_lines_that_are_written(lines):
    log.set_logger(app_name="chat", log_level="INFO", file_enabled=False)
    called = []
    log.opt(lazy=True).debug("{}", lambda: called.append(1))
    log.opt(lazy=True).info("{}", lambda: "made")
    assert called == []
    assert lines()[0].endswith("--- made")


def test_depth_names_the_caller_of_a_helper(lines):
    def helper():
        log.opt(depth=1).info("for the caller")

    helper()
    number = sys._getframe().f_lineno - 1
    assert f"test_log.py:{number}|" in lines()[0]


def test_levels_below_the_chosen_one_are_not_written(lines):
    log.set_logger(app_name="chat", log_level="warning", file_enabled=False)
    log.info("no")
    log.warning("yes")
    log.log("ERROR", "yes too")
    log.log(5, "no")
    assert len(lines()) == 2


def test_an_unknown_level_is_named():
    with pytest.raises(ValueError, match=r"must be one of TRACE.*not 'LOUD'"):
        log.set_logger(log_level="LOUD", file_enabled=False)


def test_lines_of_the_server_look_alike_and_come_once(lines):
    uvicorn_logger.info("listening on %s", "x.sock")
    log.set_logger(app_name="chat", file_enabled=False)
    uvicorn_logger.info("again")
    shown = lines()
    assert len(shown) == 2
    assert re.fullmatch(rf"\[INFOO\] {STAMP} pid:.*app:chat --- listening on x.sock", shown[0])


def test_handlers_of_others_see_the_fields(lines):
    seen = []

    class Collector(logging.Handler):
        def emit(self, record):
            seen.append((record.getMessage(), record.fields))

    collector = Collector()
    logging.getLogger("modelyard.lines").addHandler(collector)
    try:
        log.set_logger(app_name="chat", file_enabled=False)
        log.bind(tenant="t1").info("hello")
    finally:
        logging.getLogger("modelyard.lines").removeHandler(collector)
    assert seen == [("hello", {"tenant": "t1"})]


def imported(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    code = "from modelyard.utils import log; log.info('from a process')"
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "LOG_FILE_PATH": str(folder), "APP_NAME": "chat", **variables},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_no_folder_is_made_where_files_are_off(tmp_path):
    done = imported(tmp_path / "logs")
    assert done.stdout.endswith("app:chat --- from a process\n")
    assert not (tmp_path / "logs").exists()


def test_a_file_has_what_standard_output_has(tmp_path):
    done = imported(tmp_path / "logs", LOG_FILE_ENABLED="true")
    (file,) = (tmp_path / "logs").iterdir()
    assert re.fullmatch(r"chat\.[A-Za-z0-9]{10}\.log", file.name)
    assert file.read_text() == done.stdout


def test_a_level_that_is_none_stops_the_import_with_its_name(tmp_path):
    assert "must be one of TRACE" in imported(tmp_path, LOG_LEVEL="LOUD").stderr


def record(text: str) -> logging.LogRecord:
    return logging.makeLogRecord({"msg": text, "created": time.time()})


def rotated(folder: Path, **settings) -> RotatedFile:
    rules = Rules.read(*(settings.get(k) for k in ("rotation", "retention", "compression")))
    return RotatedFile(str(folder), "chat.abcdefghij", rules)


def test_a_full_file_is_packed_and_a_new_one_begun(tmp_path):
    file = rotated(tmp_path, rotation="10 B", compression="zip")
    for number in range(3):
        file.handle(record(f"line number {number}"))
        time.sleep(0.002)
    file.close()
    packed = sorted(tmp_path.glob("*.zip"))
    assert len(packed) == 2
    contents = [zipfile.ZipFile(path).read(path.stem).decode() for path in packed]
    assert contents == ["line number 0\n", "line number 1\n"]
    assert (tmp_path / "chat.abcdefghij.log").read_text() == "line number 2\n"


def test_a_day_ends_the_file(tmp_path):
    file = rotated(tmp_path, rotation="00:00")
    file.handle(record("today"))
    tomorrow = record("tomorrow")
    tomorrow.created = file._ends + 1
    assert not file.shouldRollover(record("still today"))
    file.handle(tomorrow)
    file.close()
    assert (tmp_path / "chat.abcdefghij.log").read_text() == "tomorrow\n"
    assert len(list(tmp_path.glob("chat.abcdefghij.*_*.log"))) == 1


@pytest.mark.parametrize(("retention", "left"), [("3 days", 2), (1, 1), (None, 3)])
def test_old_files_of_the_application_are_removed_and_no_others(tmp_path, retention, left):
    old = tmp_path / "chat.0123456789.2026-01-01_00-00-00_000000.log.zip"
    young = tmp_path / "chat.0123456789.2026-01-02_00-00-00_000000.log.zip"
    others = [tmp_path / "chat.notes.log", tmp_path / "other.0123456789.log"]
    for path in (old, young, *others):
        path.write_text("x")
    os.utime(old, (0, 0))
    os.utime(young, (time.time() - 60,) * 2)
    for path in others:
        os.utime(path, (0, 0))
    file = rotated(tmp_path, rotation="1 B", retention=retention, compression="gz")
    file.handle(record("one"))
    file.handle(record("two"))
    file.close()
    assert len([path for path in tmp_path.iterdir() if "_" in path.name]) == left
    assert all(path.exists() for path in others)


def test_the_next_midnight_is_within_a_day_and_at_midnight():
    rules = Rules.read("00:00", None, None)
    now = time.time()
    ends = rules.next_moment(now)
    assert 0 < ends - now <= 25 * 3600
    assert time.localtime(ends)[3:6] == (0, 0, 0)
    assert rules.next_moment(ends) > ends


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("noon", None, None), "rotated at"),
        (("25:00", None, None), "rotated at"),
        ((None, "a while", None), "kept for"),
        ((None, None, "rar"), "packed with"),
    ],
)
def test_words_that_mean_nothing_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        Rules.read(*settings)


def test_lines_are_whole_when_many_threads_write(lines):
    threads = [
        threading.Thread(target=lambda n=n: [log.info(json.dumps([n, i])) for i in range(50)])
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    said = [json.loads(line.split(" --- ")[1]) for line in lines()]
    assert sorted(said) == [[n, i] for n in range(8) for i in range(50)]
