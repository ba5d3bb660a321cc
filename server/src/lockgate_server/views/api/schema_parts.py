"""What the JSON schemas of the API are made of."""

from __future__ import annotations

from typing import Any, TypeAlias

__all__ = [
    "BASE64",
    "BOOLEAN",
    "INSTANT",
    "NAME",
    "REASON",
    "SHA256",
    "TEXT",
    "VERSION",
    "Schema",
    "array",
    "integer",
    "map_of",
    "nullable",
    "object_of",
    "ref",
]

Schema: TypeAlias = dict[str, Any]


def object_of(required: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    """Return the schema of an object with these members."""
    return {
        "type": "object",
        "required": sorted(required),
        "properties": {**required, **(optional or {})},
    }


def array(items: Schema) -> Schema:
    """Return the schema of a list of these."""
    return {"type": "array", "items": items}


def map_of(values: Schema) -> Schema:
    """Return the schema of an object with any names and these values."""
    return {"type": "object", "additionalProperties": values}


def ref(name: str) -> Schema:
    """Return a reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def integer(minimum: int = 0, maximum: int | None = None) -> Schema:
    """Return the schema of a whole number."""
    schema: Schema = {"type": "integer", "minimum": minimum}
    return schema if maximum is None else {**schema, "maximum": maximum}


def nullable(schema: Schema) -> Schema:
    """Return the schema of this or null."""
    return {"oneOf": [{"type": "null"}, schema]}


TEXT: Schema = {"type": "string"}
BOOLEAN: Schema = {"type": "boolean"}
BASE64: Schema = {"type": "string", "contentEncoding": "base64"}
INSTANT: Schema = {"type": "string", "format": "date-time"}
SHA256: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
NAME: Schema = {"type": "string", "pattern": "^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?$"}
VERSION: Schema = {"type": "string", "minLength": 1, "maxLength": 64}
REASON: Schema = {"type": "string", "maxLength": 1000}
