"""Holding an answer against what the OpenAPI document says of it."""

from typing import Any

from jsonschema import Draft202012Validator

from webapp import openapi


def check(method: str, path: str, status: int, answer: Any) -> None:
    """AssertionError or ValidationError unless the document has this answer for the route (path under /api/v1)."""
    document = openapi.document()
    answers = document["paths"][f"/api/v1{path}"][method.lower()]["responses"]
    assert str(status) in answers, f"{method} {path} does not say that it answers {status}"
    content = answers[str(status)].get("content")
    if content is None:
        assert answer in (b"", None)
        return
    if status >= 400:
        assert answer["code"] in answers[str(status)]["description"].split(", ")
    [media] = content.values()
    Draft202012Validator({**media["schema"], "components": document["components"]}).validate(answer)
