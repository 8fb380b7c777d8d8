"""The pages that every server has: what it is, how it is, what can be called."""

from __future__ import annotations

import dataclasses
import html
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .routing import Resolved, RouterKind

_OPENAPI_VERSION = "3.1.0"
_PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")
# What the code behind a route of each kind is called in `/routes`.
_NAMES = {
    RouterKind.API: "api_endpoint",
    RouterKind.SSE: "sse_endpoint",
    RouterKind.WS: "ws_endpoint",
}


@dataclass(frozen=True)
class Page:
    """A page that never changes."""

    path: str
    name: str
    body: str
    content_type: str = "application/json"
    takes_head: bool = False

    @property
    def methods(self) -> list[str]:
        """How it is asked for."""
        return ["GET", "HEAD"] if self.takes_head else ["GET"]

    def declared(self) -> dict[str, Any]:
        """It as the HTTP side wants to know it."""
        return {
            "path": self.path,
            "content_type": self.content_type,
            "body": self.body,
            "takes_head": self.takes_head,
        }


def pages(app_name: str, routes: Sequence[Resolved]) -> list[Page]:
    """The pages of a server with these routes."""
    document = openapi(app_name, routes)
    overview = _overview(app_name, document)
    found = [
        Page("/openapi.json", "openapi", _json(document), takes_head=True),
        Page("/docs", "swagger_ui_html", overview, "text/html; charset=utf-8", takes_head=True),
        Page("/redoc", "redoc_html", overview, "text/html; charset=utf-8", takes_head=True),
        Page("/", "root", ""),
        Page("/health", "health", _json({"status": "ok"})),
        Page("/routes", "list_routes", ""),
    ]
    listed = [_entry(page.path, page.methods, page.name) for page in found]
    listed += [_entry(r.path, [r.method], _NAMES[r.kind]) for r in routes]
    root = {"service": app_name, "status": "running", "routes_count": len(listed)}
    written = {"/": _json(root), "/routes": _json({"routes": listed})}
    return [dataclasses.replace(page, body=written.get(page.path, page.body)) for page in found]


def openapi(app_name: str, routes: Sequence[Resolved]) -> dict[str, Any]:
    """The OpenAPI document of a server with these routes."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        path = _PARAMETER.sub(r"{\1}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": _OPENAPI_VERSION,
        "info": {"title": app_name, "version": "0.1.0"},
        "paths": paths,
        "components": {"schemas": {"Error": _ERROR}},
    }


_ERROR = {
    "type": "object",
    "required": ["message", "type"],
    "properties": {"message": {}, "type": {"type": "string"}},
}


def _operation(route: Resolved) -> dict[str, Any]:
    media = "text/event-stream" if route.kind is RouterKind.SSE else "application/json"
    operation: dict[str, Any] = {
        "summary": route.summary,
        "operationId": re.sub(r"\W+", "_", f"{route.method.lower()}{route.path}").strip("_"),
        "responses": {
            "200": {"description": "The answer.", "content": {media: {"schema": {}}}},
            "default": {
                "description": "An error.",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
            },
        },
    }
    if route.kind is RouterKind.WS:
        operation["responses"] = {"101": {"description": "A WebSocket."}}
    if route.definition.tags:
        operation["tags"] = list(route.definition.tags)
    parameters = _PARAMETER.findall(route.path)
    if parameters:
        operation["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in parameters
        ]
    if route.method in ("POST", "PUT", "PATCH"):
        operation["requestBody"] = {"content": {"application/json": {"schema": {}}}}
    return operation


def _overview(app_name: str, document: dict[str, Any]) -> str:
    """A page for people. It loads nothing from anywhere else."""
    rows = [
        f"<tr><td>{html.escape(method.upper())}</td><td><code>{html.escape(path)}</code></td>"
        f"<td>{html.escape(operation['summary'])}</td></tr>"
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]
    title = html.escape(app_name)
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title>"
        "<style>body{font:16px sans-serif;margin:2em}td{padding:.3em 1em .3em 0}</style>"
        f"<h1>{title}</h1><p>The document for machines: <a href=/openapi.json>/openapi.json</a></p>"
        f"<table>{''.join(rows)}</table></html>"
    )


def _entry(path: str, methods: list[str], name: str) -> dict[str, Any]:
    return {"path": path, "methods": methods, "name": name}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
