# SPDX-License-Identifier: AGPL-3.0-or-later
"""As much of JSON Schema 2020-12 as web/openapi.json uses, and no more: an
unknown word is an error, so that nothing in a schema goes unheeded."""

import re
import uuid

NOTES = {"description", "$ref"}


def is_a(value, name: str) -> bool:
    if isinstance(value, bool):  # an int, to Python
        return name == "boolean"
    return isinstance(value, {
        "object": dict, "array": list, "string": str, "boolean": bool,
        "integer": int, "number": (int, float), "null": type(None)}[name])


class Description:
    """An OpenAPI document."""

    def __init__(self, document: dict):
        self.document = document
        self.rules = {name[5:]: getattr(self, name) for name in dir(self)
                      if name.startswith("rule_")}

    def follow(self, node):
        """The node, or the one that it refers to."""
        while isinstance(node, dict) and "$ref" in node:
            node_at = self.document
            for step in node["$ref"].removeprefix("#/").split("/"):
                node_at = node_at[step]
            node = node_at
        return node

    def complaints(self, schema: dict, value, at: str = "$") -> list:
        schema, found = self.follow(schema), []
        for word, argument in schema.items():
            if word in NOTES or (word == "additionalProperties"):
                continue
            rule = self.rules[word.lower()]
            found += rule(argument, value, at)
        if schema.get("additionalProperties") is False and is_a(value,
                                                                "object"):
            extra = set(value) - set(schema["properties"])
            found += [f"{at}: unknown {name}" for name in sorted(extra)]
        return found

    def rule_type(self, names, value, at):
        names = [names] if isinstance(names, str) else names
        good = any(is_a(value, name) for name in names)
        return [] if good else [f"{at}: is no {names}: {value!r}"]

    def rule_enum(self, values, value, at):
        return [] if value in values else [f"{at}: {value!r} not in {values}"]

    def rule_const(self, wanted, value, at):
        return self.rule_enum([wanted], value, at)

    def rule_required(self, names, value, at):
        return [f"{at}: no {name}" for name in names if name not in value]

    def rule_properties(self, schemas, value, at):
        return [text for name, schema in schemas.items() if name in value
                for text in self.complaints(schema, value[name],
                                            f"{at}.{name}")]

    def rule_items(self, schema, value, at):
        return [text for i, one in enumerate(value)
                for text in self.complaints(schema, one, f"{at}[{i}]")]

    def rule_allof(self, schemas, value, at):
        return [text for schema in schemas
                for text in self.complaints(schema, value, at)]

    def rule_anyof(self, schemas, value, at):
        all_ = [self.complaints(schema, value, at) for schema in schemas]
        return min(all_, key=len)

    def rule_maxitems(self, most, value, at):
        return [] if len(value) <= most else [f"{at}: more than {most}"]

    def rule_minlength(self, least, value, at):
        return [] if len(value) >= least else [f"{at}: too short"]

    def rule_minimum(self, least, value, at):
        return [] if value >= least else [f"{at}: below {least}"]

    def rule_maximum(self, most, value, at):
        return [] if value <= most else [f"{at}: above {most}"]

    def rule_pattern(self, pattern, value, at):
        return [] if re.search(pattern, value) else [f"{at}: not {pattern}"]

    def rule_format(self, name, value, at):
        assert name == "uuid"
        good = str(uuid.UUID(value)) == value
        return [] if good else [f"{at}: no UUID"]
