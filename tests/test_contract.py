"""Both ends read `signaling/`: here Python's structs, the vectors and the list of what must be covered."""

from __future__ import annotations

import json
import typing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from framewire import wire
from framewire.errors import RemoteProtocolError

SIGNALING = Path(__file__).parent.parent / "signaling"
SCHEMA = json.loads((SIGNALING / "schema.json").read_text())
MESSAGES = json.loads((SIGNALING / "vectors" / "messages.json").read_text())
TRANSCRIPTS = [json.loads(path.read_text()) for path in sorted((SIGNALING / "transcripts").glob("*.json"))]


def normal(node: Any) -> Any:
    """A schema with what is only said in different words made equal: const is a one-value enum, order is no matter."""
    if isinstance(node, list):
        return [normal(item) for item in node]
    if not isinstance(node, dict):
        return node
    out = {key: normal(value) for key, value in node.items() if key not in ("title", "description", "default")}
    if "const" in out:
        out["enum"] = [out.pop("const")]
    for key in ("enum", "required"):
        if isinstance(out.get(key), list):
            out[key] = sorted(out[key])
    return out


def tags(union: Any) -> set[str]:
    return {typing.cast(str, message.__struct_config__.tag) for message in typing.get_args(union)}


def test_the_structs_export_exactly_the_schema() -> None:
    _, exported = msgspec.json.schema_components(
        [wire.ViewerMessage, wire.ServerMessage], ref_template="#/$defs/{name}"
    )
    theirs = {name: normal(node) for name, node in SCHEMA["$defs"].items() if not name.endswith("Message")}
    assert {name: normal(node) for name, node in exported.items()} == theirs


def unbounded(node: dict[str, Any], at: str) -> list[str]:
    """Where a part of a schema has no limit of length."""
    if "$ref" in node:
        name = node["$ref"].rsplit("/", 1)[1]
        return unbounded(SCHEMA["$defs"][name], name)
    if "oneOf" in node:
        return [fault for each in node["oneOf"] for fault in unbounded(each, at)]
    found: list[str] = []
    match node.get("type"):
        case "string" if "maxLength" not in node:
            found.append(f"{at}: how long?")
        case "array":
            found += unbounded(node["items"], f"{at}[]") + ([] if "maxItems" in node else [f"{at}: how many items?"])
        case "object":
            for field, shape in node.get("properties", {}).items():
                found += unbounded(shape, f"{at}.{field}")
            if of_any_name := node.get("additionalProperties", True):
                found += unbounded(of_any_name, f"{at}{{}}") if isinstance(of_any_name, dict) else [f"{at}: what else?"]
                if "maxProperties" not in node or "maxLength" not in node.get("propertyNames", {}):
                    found.append(f"{at}: how many names, and how long?")
    return found


def test_everything_that_a_viewer_sends_is_bounded() -> None:
    assert unbounded(SCHEMA["$defs"]["ViewerMessage"], "ViewerMessage") == []


def test_what_has_no_bound_is_found() -> None:
    endless = {
        "type": "object",
        "properties": {"s": {"type": "string"}, "a": {"type": "array", "items": {"enum": [1]}}, "n": {"const": 1}},
        "additionalProperties": {"type": "boolean"},
    }
    assert unbounded(endless, "m") == ["m.s: how long?", "m.a: how many items?", "m: how many names, and how long?"]
    assert unbounded({"type": "object"}, "m") == ["m: what else?", "m: how many names, and how long?"]


@pytest.mark.parametrize("side, union", [("Viewer", wire.ViewerMessage), ("Server", wire.ServerMessage)])
def test_the_same_messages_on_each_side(side: str, union: Any) -> None:
    named = {ref["$ref"].rsplit("/", 1)[1].lower() for ref in SCHEMA["$defs"][f"{side}Message"]["oneOf"]}
    assert tags(union) == named


def decode(case: dict[str, Any]) -> wire.ViewerMessage | wire.ServerMessage:
    return (wire.decode_viewer if case["from"] == "viewer" else wire.decode_server)(case["text"])


@pytest.mark.parametrize("case", [c for c in MESSAGES if "value" in c], ids=lambda c: c["name"])
def test_accepted_text(case: dict[str, Any]) -> None:
    message = decode(case)
    assert msgspec.to_builtins(message) == case["value"]
    assert decode({**case, "text": wire.encode(message)}) == message


@pytest.mark.parametrize("case", [c for c in MESSAGES if "error" in c], ids=lambda c: c["name"])
def test_refused_text(case: dict[str, Any]) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        decode(case)
    assert caught.value.code == case["error"]


def test_every_message_has_an_accepting_and_a_refusing_vector() -> None:
    accepted = {c["value"]["type"] for c in MESSAGES if "value" in c}
    refused = {c["of"] for c in MESSAGES if "of" in c}
    everything = tags(wire.ViewerMessage) | tags(wire.ServerMessage)
    assert accepted == everything
    assert refused == everything


def spoken(transcript: dict[str, Any]) -> set[str]:
    entries = [entry for column in ("server", "viewer") for entry in transcript[column]]
    return {message["type"] for entry in entries for message in entry.values() if "type" in message}


def test_every_message_is_spoken_in_a_transcript() -> None:
    heard = set().union(*(spoken(t) for t in TRANSCRIPTS))
    assert tags(wire.ViewerMessage) | tags(wire.ServerMessage) <= heard
