"""Running a part of a test in a process of its own, and there as a user who may do little."""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Callable
from typing import Any

#: Users that own nothing; their names do not matter.
NOBODY, SOMEBODY = 65534, 65533


def in_child(work: Callable[[], Any], user: int | None = None) -> Any:
    """What some work gives in a forked child, as plain data.

    Args:
        user: root becomes this one first. Somebody else than root stays who he is: what he may
            not do is then said by modes.
    """
    receiving, sending = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(receiving)
            if user is not None and os.geteuid() == 0:
                os.setgroups([])
                os.setgid(user)
                os.setuid(user)
            _written(sending, json.dumps(work()))
            code = 0
        except BaseException:
            _written(sending, traceback.format_exc())
        finally:
            os._exit(code)
    os.close(sending)
    with os.fdopen(receiving, encoding="utf-8") as pipe:
        said = pipe.read()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, said
    return json.loads(said)


def _written(pipe: int, text: str) -> None:
    with os.fdopen(pipe, "w", encoding="utf-8") as file:
        file.write(text)
