"""What is asked of both workers: the requests, and the conversations over WebSockets."""

import json
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Request:
    """One HTTP request. A body that is no bytes goes as JSON; `since` is as for a `Talk`."""

    name: str
    method: str
    path: str
    body: object = None
    headers: dict = field(default_factory=dict)
    since: str = "0.2.9"

    def content(self) -> bytes | None:
        if self.body is None or isinstance(self.body, bytes):
            return self.body
        return json.dumps(self.body).encode()


@dataclass(frozen=True)
class Talk:
    """One conversation over a WebSocket: each message with the number of answers awaited.

    `since` is the version of the reference that first knows what this is about.
    """

    name: str
    path: str
    says: tuple = ()
    since: str = "0.2.9"


def _post(name, path, body=None, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request(name, "POST", path, body, named)


def _get(name, path, **headers):
    return Request(name, "GET", path, None, headers)


def _api():
    echo = "/v1/api/echo"
    nested = {"a": [1, 2.5, None, True], "zh": "你好", "q": 'a"b', "深": {"x": {}}}
    yield _post("an object", echo, {"x": 1, "y": "z"})
    yield _post("an empty object", echo, {})
    yield _post("a nested object", echo, nested)
    yield _post("no body", echo)
    yield _post("a list", echo, [1, 2])
    yield _post("a text", echo, "hello")
    yield _post("a number", echo, 7)
    yield _post("null", echo, b"null")
    yield _post("no JSON", echo, b"{nope")
    yield _post("no UTF-8", echo, b"\xff\xfe{}")
    yield _post("numbers of all kinds", echo, b'{"big":12345678901234567890123,"e":1e3,"m":-0.0}')
    yield _post("not a number", echo, b'{"x":NaN}')
    yield _post("a field twice", echo, b'{"x":1,"x":2}')
    yield _post("text of another type", echo, {"x": 1}, content_type="text/plain")
    yield _post("a form", echo, b"a=1&b=2", content_type="application/x-www-form-urlencoded")
    yield _post("fields in the URL", f"{echo}?dir=a%20b&x=1", {"x": 2})
    yield _post("fields in the URL without a body", f"{echo}?a=1&a=2&empty=")
    yield _post("fields in the path", "/v1/api/items/a%20b/parts/7", {"name": "body"})
    yield _post("a template without its end", "/v1/api/items/a/parts/")
    yield _post("in a thread", "/v1/api/thread", {"x": "ü"})
    yield _post("a partial function", "/v1/api/partial", {"x": 1})
    yield _post("a callable object", "/v1/api/callable", {})
    yield _post("a bound method", "/v1/api/method", {"x": 1})
    yield _post("no group", "/v1/top", {"x": 1})
    yield _post("the size of the raw body", "/v1/api/body", {"x": 1})
    yield _post("the raw body of nothing", "/v1/api/body")
    values = ("plain", 7, 1.5, 1e30, True, None, [], [1, "a"], {"zh": "你好"}, "\u2028</script>")
    for value in values:
        yield _post(f"answer {json.dumps(value)}", "/v1/api/value", {"value": value})
    yield _post("answer nothing", "/v1/api/none", {})


def _bodies():
    echo = "/v1/api/echo"
    yield _post("a byte order mark", echo, b'\xef\xbb\xbf{"x":1}')
    yield _post("200 levels", echo, b'{"a":' * 190 + b"1" + b"}" * 190)
    yield _post("500 levels", echo, b"[" * 500 + b"]" * 500)
    yield _post("20,000 levels", echo, b"[" * 20_000 + b"]" * 20_000)
    yield _post("an infinite number", echo, b'{"x":1e400}')
    yield _post("small and large numbers", echo, b'{"x":1.0,"y":0.1,"z":1e16,"v":123456789.12345}')
    yield _post("a very small number", echo, b'{"x":1e-7}')
    yield _post("half a character", echo, b'{"x":"\\ud800"}')
    yield _post("both halves of a character", echo, b'{"x":"\\ud83d\\ude00"}')
    yield _post("the character 0", echo, b'{"x":"\\u0000"}')
    yield _post("a line break in a text", echo, b'{"x":"a\nb"}')
    yield _post("a comma too many", echo, b'{"x":1,}')
    yield _post("something behind the object", echo, b'{"x":1} x')
    yield _post("space around the object", echo, b'  {"x":1}\n')
    yield _post("UTF-16", echo, '{"x":1}'.encode("utf-16"))
    yield _post("an empty text", echo, b'""')
    yield _post("only space", echo, b"   ")
    yield _post("a field twice within", echo, b'{"a":{"b":1,"b":2}}')
    yield _post("a field named payload", echo, b'{"payload":1}')
    yield _post("2 MB", echo, b'{"x":"' + b"y" * 2_000_000 + b'"}')
    yield _post("a coded body", echo, {"x": 1}, content_encoding="gzip")
    yield _post("a part asked for", echo, {"x": 1}, range="bytes=0-1")
    yield Request("a body with GET", "GET", "/v1/api/strings", {"x": 1})


def _addresses():
    echo = "/v1/api/echo"
    for name in ("a%2Fb", "%C3%BC", "%FF", "a+b"):
        path = f"/v1/api/items/{name}/parts/7"
        yield Request(f"the parameter {name}", "POST", path, {}, since="0.5.8")
    queries = (
        "a=1+2",
        "a=%FF",
        "a=1;b=2",
        "a",
        "=1",
        "",
        "&&a=1&",
        "payload=1",
        "%E4%BD%A0=%E5%A5%BD",
    )
    for query in queries:
        yield Request(f"the URL's ?{query}", "POST", f"{echo}?{query}", since="0.5.8")
    yield _post("a path in capitals", "/V1/api/echo", {})
    yield _post("a path with a dot", "/v1/api/./echo", {})
    yield _post("a path with two dots", "/v1/api/x/../echo", {})
    yield _post("a coded letter in a path", "/v1/api/%65cho", {})
    yield _get("an empty path with two slashes", "/v1/models//")
    yield _post("an empty path with the wrong method", "/v1/models", {})
    for method in ("TRACE", "BREW", "HEAD", "OPTIONS"):
        yield Request(f"{method} where POST is", method, echo)
    yield Request("DELETE without a body", "DELETE", "/v1/api/verbs")


def _generators():
    for route in ("collect", "collect-in-thread"):
        for number in (0, 1, 3):
            yield _post(f"{route} {number}", f"/v1/api/{route}", {"n": number})


def _errors():
    routes = ("no-json", "raises", "raises-in-thread", "refuses", "slow", "sleeps")
    for route in (*routes, "says-error", "fails-midway"):
        yield _post(f"api {route}", f"/v1/api/{route}", {})
    yield _post("an unknown path", "/v1/api/nothing", {})
    yield _post("a path without the prefix", "/api/echo", {})
    yield _post("an unknown path at the top", "/nothing", {})
    yield _get("the wrong method", "/v1/api/echo")
    yield _post("a base route with the wrong method", "/health", {})
    yield _post("a path with two slashes", "/v1//api/echo", {})
    yield _post("a path with a slash too many", "/v1/api/echo/", {})


def _traces():
    yield _post("a trace id of the server", "/v1/api/trace", {})
    yield _post("a trace id in a header", "/v1/api/trace", {}, x_trace_id="mine-1")
    yield _post("a trace id in a field", "/v1/api/trace", {"trace_id": "mine-2"})
    yield _post("a trace id in the URL", "/v1/api/trace?trace_id=mine-3", {})


def _routing():
    for path in ("/", "/health"):
        yield _get(f"GET {path}", path)
        yield Request(f"HEAD {path}", "HEAD", path)
    for method in ("GET", "PUT", "DELETE", "PATCH", "OPTIONS"):
        body = None if method == "GET" else {"x": 1}
        yield Request(f"verb {method}", method, "/v1/api/verbs", body)
    yield Request("verb HEAD", "HEAD", "/v1/api/verbs")
    yield _get("a method as a text", "/v1/api/strings")
    yield _get("an empty path", "/v1/models")
    yield _get("an empty path with its slash", "/v1/models/")
    yield _get("routes", "/routes")
    yield _get("openapi", "/openapi.json")
    yield _get("docs", "/docs")
    yield _get("redoc", "/redoc")
    yield _get("metrics", "/metrics")
    yield _post("CORS on an answer", "/v1/api/echo", {}, origin="http://a.example")
    yield _get("CORS on an unknown path", "/nothing", origin="http://a.example")
    asked = {
        "origin": "http://a.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "x-own",
    }
    yield Request("CORS asked before", "OPTIONS", "/v1/api/echo", None, asked)
    yield Request("CORS asked for nowhere", "OPTIONS", "/nothing", None, asked)
    strange = {"origin": "http://a.example", "access-control-request-method": "BREW"}
    yield Request("CORS asked for no method", "OPTIONS", "/v1/api/echo", None, strange)
    yield _post("CORS with a cookie", "/v1/api/echo", {}, origin="http://a.example", cookie="a=b")


def _streams():
    routes = ("count", "count-in-thread", "items", "fails-midway", "fails-midway-in-thread")
    routes += ("fails-first", "says-error", "no-json", "function", "function-in-thread")
    routes += ("function-raises", "raises-in-thread", "refuses", "trace", "slow", "headers")
    for route in routes:
        yield _post(f"sse {route}", f"/v1/sse/{route}", {"x": 1})
    yield _post("sse nothing", "/v1/sse/count", {"n": 0})
    yield _post("sse no JSON", "/v1/sse/count", b"{nope")
    yield _get("sse GET", "/v1/sse/get")
    yield _get("sse with the wrong method", "/v1/sse/count")
    yield _post("sse ticks", "/v1/sse/ticks", {})
    yield _post("sse silent", "/v1/sse/silent", {})
    yield _post("sse fails before it begins", "/v1/sse/count", {"n": "x"})
    yield _post("sse not a number", "/v1/sse/function", b'{"x":NaN}')
    yield Request("sse HEAD", "HEAD", "/v1/sse/get")


def _talks():
    echoes = (
        ('{"x": 1}', 1),
        ('{"zh": "你好"}', 1),
        ("[1, 2]", 1),
        ('"text"', 1),
        ("7", 1),
        ("null", 1),
        ("no JSON", 1),
        ("", 1),
        ('{"trace_id": "mine"}', 1),
    )
    for prefix, where in (("", "without the prefix"), ("/v1", "with the prefix")):
        yield Talk(f"socket echo {where}", f"{prefix}/ws/echo", echoes)
    yield Talk("socket in a thread", "/ws/thread", echoes)
    yield Talk("socket trace", "/ws/trace", (("{}", 1),))
    yield Talk("socket count", "/ws/count", (('{"n": 2}', 2), ('{"n": 0}', 0), ('{"n": 1}', 1)))
    yield Talk("socket count in a thread", "/ws/count-in-thread", (('{"n": 2}', 2),))
    yield Talk("socket says an error", "/ws/says-error", (("{}", 2), ("{}", 2)))
    yield Talk("socket raises", "/ws/raises", (("{}", 1), ("{}", 1)))
    yield Talk("socket fails midway", "/ws/fails-midway", (("{}", 2), ("{}", 2)))
    yield Talk("socket without JSON", "/ws/no-json", (("{}", 1), ("{}", 1)))
    odd = (('{"a":{"b":[1]}}', 1), ("[]", 1), (' {"x":1} ', 1), ('{"x":1}{"x":1}', 1))
    yield Talk("socket of odd texts", "/ws/echo", odd)
    yield Talk("socket not a number", "/ws/echo", (('{"x":NaN}', 1),))
    yield Talk("socket of 1 MB", "/ws/echo", (('{"x":"' + "y" * 1_000_000 + '"}', 1),))
    yield Talk("socket with a query", "/ws/echo?a=1", (("{}", 1),))
    yield Talk("socket whose generator does not begin", "/ws/count", (('{"n":"x"}', 1),))
    yield Talk("socket with a slash too many", "/ws/echo/", (("{}", 1),))
    yield Talk("socket of bytes", "/ws/echo", ((b"\x00\x01", 1),))
    yield Talk("raw socket", "/ws/raw", (("abc", 3),), since="0.5.8")
    yield Talk("socket at an unknown path", "/ws/nothing", ())
    yield Talk("socket at a route of another kind", "/v1/api/echo", ())


REQUESTS = [
    *_api(),
    *_bodies(),
    *_addresses(),
    *_generators(),
    *_errors(),
    *_traces(),
    *_routing(),
    *_streams(),
]
TALKS = [*_talks()]
