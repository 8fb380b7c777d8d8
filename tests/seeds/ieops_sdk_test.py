"""The blocks of the document of `ieops-sdk`, word for word, inside what they leave out.

Hosts, ports and paths of sockets are replaced. Where the document writes `...` for something of the
reader's own, the tests put something.
"""

import ast
import json
import re
import textwrap

import pytest
from seeds.workers import block, call, commands, events, python, running, serving

QUICK_START = f"{block('handler.py')}\n\n{block('serve.py')}"
HI = {"messages": [{"role": "user", "content": "hi"}]}
SERVE = "\nHandler(server=server).serve()\n"


@pytest.mark.parametrize("command", [*commands("run.sh"), *commands("listen.sh")])
def test_each_command_starts_the_worker_where_it_says(command):
    with running(QUICK_START, command) as (yard, folder):
        status, kind, text = call(yard, "/chat/complete", HI)
        assert (status, kind) == (200, "application/json")
        assert json.loads(text) == {"message": "Hello from sync handler!"}
        sockets = [path.name for path in folder.glob("*.sock")]
        if "myapp" in command:
            assert sockets == ["myapp.sock"]
        elif "MODEL_SERVER_PORT" in command:
            assert sockets == []
        else:
            assert re.fullmatch(r"ieops\.[A-Za-z0-9]{8}\.sock", *sockets)


def test_the_quick_start_streams_letter_by_letter():
    with serving(QUICK_START) as yard:
        status, kind, text = call(yard, "/chat/stream", HI)
    assert (status, kind) == (200, "text/event-stream; charset=utf-8")
    *letters, end = events(text)
    assert "".join(item["results"][0]["content"] for item in letters) == "Hello! You said: hi"
    assert all(item["stopped"] is False for item in letters)
    assert end == {"stopped": True, "stop_reasons": ["end"]}


def test_a_route_has_every_field_that_is_shown():
    code = f"""
class model:
    async def chat(query):
        yield 1

route = {block("router_def.py")[block("router_def.py").index("RouterDef(") :]}
assert route.handler is model.chat
print(route.path, route.kind.value, route.method.value, route.summary, route.timeout)
"""
    imports = block("router_def.py").split("\n\n")[0]
    assert python(imports + code) == "chat sse POST Chat endpoint 300\n"


def test_a_server_takes_every_argument_that_is_shown():
    shown = block("server.py").replace("routers={...}", "routers=routers")
    shown = shown.replace("sse_headers={...}", 'sse_headers={"X-Mine": "1"}')
    code = f"""
from pathlib import Path
from gmi_ieops.handler import Handler, RouterConfig, RouterDef, RouterKind, Server

async def letters(query):
    yield "a"

routers = {{"text": [RouterDef(path="letters", handler=letters, kind=RouterKind.SSE)]}}

def startup_callback():
    print("up", flush=True)

async def shutdown_callback():
    print("down", flush=True)

{shown}
"""
    with serving(code + SERVE) as yard:
        assert events(call(yard, "/v1/text/letters", {})[2]) == ["a"]
        about = json.loads(call(yard, "/", method="GET")[2])
        assert (about["service"], about["status"]) == ("my-service", "running")
        connection = yard.connection()
        asked = {"origin": "https://app.example", "content-type": "application/json"}
        connection.request("POST", "/v1/text/letters", "{}", asked)
        answer = connection.getresponse()
        answer.read()
        assert answer.headers["x-mine"] == "1"
        assert answer.headers["access-control-allow-origin"] == "*"
        connection.close()
        yard.process.terminate()
        yard.process.wait(30)
        lines = yard.log.read_text().splitlines()
    assert [line for line in lines if line in ("up", "down")] == ["up", "down"]


SETTING = re.compile(r"^(env\.\S+) +# ([A-Z_]+) \(默认: (\"[^\"]*\"|\d+)", re.M)


@pytest.mark.parametrize(("setting", "variable", "default"), SETTING.findall(block("settings.py")))
def test_each_setting_has_the_default_and_the_variable_that_are_shown(setting, variable, default):
    show = f"{block('settings.py')}\nprint(repr({setting}))"
    default = ast.literal_eval(default)
    assert ast.literal_eval(python(show)) == default
    other = 12345 if isinstance(default, int) else "another"
    assert ast.literal_eval(python(show, **{variable: str(other)})) == other


def test_every_setting_of_the_block_was_asked_for():
    assert len(SETTING.findall(block("settings.py"))) == block("settings.py").count("默认") == 19


def test_settings_of_ones_own_are_converted():
    show = "\nprint([value, value_int, value_bool, value_float, value_list])"
    code = block("own_settings.py") + show
    assert ast.literal_eval(python(code)) == ["default", 10, False, 0.5, ["a", "b"]]
    variables = {
        "MY_CUSTOM_VAR": "mine",
        "MY_INT_VAR": "7",
        "MY_BOOL_VAR": "yes",
        "MY_FLOAT_VAR": "1.5",
        "MY_LIST_VAR": "x, y",
    }
    assert ast.literal_eval(python(code, **variables)) == ["mine", 7, True, 1.5, ["x", "y"]]


def test_the_chat_api_answers_streams_and_lists_its_models():
    tokens = """
async def generate_tokens(self, query):
    for token in ("Hel", "lo"):
        yield token

ChatHandler.generate_tokens = generate_tokens
main()
"""
    with serving(f"{block('chat.py')}\n{tokens}") as yard:
        status, _, text = call(yard, "/v1/chat/completions", HI)
        assert status == 200
        assert json.loads(text)["choices"][0]["message"]["content"] == "Hello!"
        chunks = events(call(yard, "/v1/chat/completions/stream", HI)[2])
        assert [chunk["choices"][0]["delta"]["content"] for chunk in chunks] == ["Hel", "lo"]
        status, _, text = call(yard, "/v1/models/", method="GET")
    assert (status, json.loads(text)["data"]) == (200, [{"id": "model", "object": "model"}])


def test_the_image_api_answers_and_tells_its_progress():
    # The class is in the block, and so is what uses an instance that the reader has made.
    around = """
from gmi_ieops.handler import Handler, RouterDef, RouterKind, Server

class Late:
    def __getattr__(self, name):
        return getattr(ImageHandler(), name)

handler = Late()
"""
    shown = block("images.py").replace("[...]", '["aGk="]')
    with serving(f"{around}{shown}{SERVE}") as yard:
        status, _, text = call(yard, "/images/generate", {"prompt": "a corgi"})
        assert (status, json.loads(text)) == (200, {"images": [{"base64": "..."}]})
        told = events(call(yard, "/images/generate/stream", {"prompt": "a corgi"})[2])
    assert [item["progress"] for item in told] == [*range(0, 101, 10), 100]
    assert told[-1] == {"progress": 100, "status": "complete", "images": ["aGk="]}


def test_errors_have_the_shape_that_is_shown():
    around = """
from gmi_ieops.handler import Handler, RouterDef, Server

async def inference(query):
    if query["messages"] == "bad":
        raise ValueError("no such luck")
    return {"said": query["messages"]}

server = Server(routers={"": [RouterDef(path="chat", handler=my_handler)]})
"""
    with serving(f"{block('errors.py')}{around}{SERVE}") as yard:
        assert json.loads(call(yard, "/chat", {"messages": "hi"})[2]) == {"said": "hi"}
        # The document asks for 400, and so it is.
        status, _, text = call(yard, "/chat", {})
        assert (status, json.loads(text)["message"]) == (400, "Messages required")
        assert set(json.loads(text)) == {"message", "type"}
        status, _, text = call(yard, "/chat", {"messages": "bad"})
    assert status == 500
    assert json.loads(text) == {"message": "no such luck", "type": "api_error"}


def test_a_handler_takes_its_model_from_the_settings():
    around = "from gmi_ieops.config import env\n\ndef load_model(path='?'):\n    return path\n\n"
    show = "\nprint(Handler().model)\nhandler({})\nprint(MODEL)"
    code = around + block("design.py") + show
    assert python(code, MODEL_PATH="/models/m") == "/models/m\n?\n"


def test_a_stream_tells_increments_and_a_collected_one_all_at_once():
    around = """
from gmi_ieops.handler import Handler, RouterDef, Server

async def generate():
    for chunk in ("a", "b"):
        yield chunk

server = Server(routers={"": [
    RouterDef(path="good", handler=stream_handler, kind="sse"),
    RouterDef(path="bad", handler=bad_stream, kind="sse"),
]})
"""
    with serving(f"{block('streaming.py')}{around}{SERVE}") as yard:
        good = events(call(yard, "/good", {})[2])
        bad = events(call(yard, "/bad", {})[2])
    assert good == [*({"content": c, "stopped": False} for c in "ab"), {"stopped": True}]
    assert bad == [{"content": "ab"}]


def test_failures_are_raised_and_logged_with_their_trace_id():
    code = f"""
def valid_input(query):
    return query["is_valid"]

def inference(query):
    raise ValueError("no such luck")

def handle(query):
{textwrap.indent(block("exceptions.py"), "    ")}

for is_valid in (False, True):
    try:
        handle({{"is_valid": is_valid, "trace_id": "traceid-17"}})
    except Exception as error:
        print(type(error).__name__, error)
"""
    printed = python(code)
    assert "HTTPException 400: Invalid input\n" in printed
    assert "ValueError no such luck\n" in printed
    (line,) = [line for line in printed.splitlines() if "Inference error: no such luck" in line]
    assert "trace_id:traceid-17" in line
