"""What has changed in a legacy file since a copy of it was taken in, found without reading it all.

While writers wait there is no time for a whole pass. Trackers write one layout, in which a raw
newline and an indentation of four can only stand between records: two copies are split there and
compared as text. Any other layout is left to the whole pass.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from metrics_store.legacy.private_copy import PrivateCopy
from metrics_store.legacy_format.record import key_of

_HEAD = b'{\n  "invocations": [\n    {'
_EMPTY = b'{\n  "invocations": []'
_END = b"\n    }\n  ]"
_BETWEEN = b"\n    },\n    {"
_MOMENT = b'      "invoked_at": '


@dataclass(frozen=True, slots=True)
class Delta:
    """Records of keys that have changed.

    Args:
        changed: records that the older copy has not.
        part: a legacy file with every record of their keys; None if nothing has changed.
    """

    changed: int
    part: PrivateCopy | None


def between(old: PrivateCopy, new: PrivateCopy, folder: Path) -> Delta | None:
    """Find what a newer copy has beyond an older one.

    Args:
        old: was taken in.
        new: is to be taken in.
        folder: private; the part is written here.

    Returns:
        None if the layout is another, or a record cannot be told by its text.
    """
    if new.sha256 == old.sha256:
        return Delta(0, None)
    before, after = _records(old.path), _records(new.path)
    if before is None or after is None:
        return None
    if not all(_moment_line(text).startswith(_MOMENT) for text in after):
        return None  # somebody has put the members in another order
    changed = Counter(after)
    changed.subtract(before)
    fresh = [text for text, n in changed.items() if n > 0]
    if not fresh:
        return Delta(0, None)
    wanted = {_moment_line(text) for text in fresh}
    keys = set()
    for text in fresh:
        key = _key(text)
        if key is None:
            return None
        keys.add(key)
    texts = [text for text in after if _moment_line(text) in wanted and _key(text) in keys]
    return Delta(len(fresh), _write(texts, new, folder))


def _records(path: Path) -> list[bytes] | None:
    data = path.read_bytes()
    if data.startswith(_EMPTY):
        return []
    end = data.find(_END)
    if not data.startswith(_HEAD) or end < 0:
        return None
    return data[len(_HEAD) : end].split(_BETWEEN)


def _moment_line(text: bytes) -> bytes:
    lines = text.split(b"\n", 3)
    return lines[2] if len(lines) > 2 else b""


def _key(text: bytes) -> str | None:
    try:
        value = json.loads(b"{" + text + b"}")
        return key_of(value["skill_name"], value["invoked_at"], value.get("workflow_path"))
    except (ValueError, KeyError, TypeError):
        return None


def _write(texts: list[bytes], new: PrivateCopy, folder: Path) -> PrivateCopy:
    data = _HEAD + _BETWEEN.join(texts) + _END + b"\n}"
    path = folder / "part.json"
    handle = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
    with open(handle, "wb") as file:
        file.write(data)
    digest = hashlib.sha256(data).hexdigest()
    return PrivateCopy(path, new.source, len(data), digest, new.mtime_ns, new.inode)
