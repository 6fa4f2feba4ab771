"""The layout of a legacy file: ``json.dumps`` with an indent of 2, which is pure Python and slow.

A record of the seven members that the legacy tracker writes is put into a template, four times as
fast; anything else is written by a function that knows the types of parsed JSON only.
"""

from __future__ import annotations

import json
from json.encoder import encode_basestring_ascii

from metrics_store.legacy_format.members import MEMBERS

Json = object

#: What stands before the first record, and between two.
HEAD = '{\n  "invocations": [\n    '
NEXT = ",\n    "
#: What begins a line of a member of the file.
LINE = "\n  "

quoted = encode_basestring_ascii


def record_text(record: Json) -> str:
    """A record as it stands in the file."""
    if type(record) is dict and tuple(record) == MEMBERS:
        skill, invoked, path, completed, seconds, actions, error = record.values()
        if (
            type(skill) is str
            and type(invoked) is str
            and (path is None or type(path) is str)
            and (completed is True or completed is False)
            and (seconds is None or (type(seconds) is float and seconds - seconds == 0))
            and type(actions) is list
            and (error is None or type(error) is str)
            and all(type(action) is str for action in actions)
        ):
            within = ",\n        ".join(map(quoted, actions))
            return (
                f'{{\n      "skill_name": {quoted(skill)},\n'
                f'      "invoked_at": {quoted(invoked)},\n'
                f'      "workflow_path": {"null" if path is None else quoted(path)},\n'
                f'      "completed": {"true" if completed else "false"},\n'
                f'      "duration_seconds": {"null" if seconds is None else repr(seconds)},\n'
                f'      "follow_up_actions": '
                f"{f'[{chr(10)}        {within}{chr(10)}      ]' if actions else '[]'},\n"
                f'      "error_type": {"null" if error is None else quoted(error)}\n    }}'
            )
    return value_text(record, LINE + "  ")


def value_text(value: Json, line: str) -> str:
    """A value as json.dumps has it within a file; ``line`` is what begins a line at its level."""
    kind = type(value)
    if kind is str:
        return quoted(value)  # type: ignore[arg-type]
    if kind is int or (kind is float and value - value == 0):  # type: ignore[operator]
        return repr(value)
    if kind is dict and value:
        within = f",{line}  ".join(
            f"{quoted(name)}: {value_text(item, line + '  ')}"
            for name, item in value.items()  # type: ignore[attr-defined]
        )
        return f"{{{line}  {within}{line}}}"
    if kind is list and value:
        items = [value_text(item, line + "  ") for item in value]  # type: ignore[attr-defined]
        return f"[{line}  {f',{line}  '.join(items)}{line}]"
    return _CONSTANTS.get(repr(value)) or json.dumps(value)


_CONSTANTS = {"None": "null", "True": "true", "False": "false", "{}": "{}", "[]": "[]"}
