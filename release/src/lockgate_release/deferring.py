"""A large module is imported by whoever uses it, no longer by whoever only names it.

securesystemslib imports boto3 where it finds it, for keys in Amazon's key service. A server always
has it beside it, for buckets; without this, each of its processes spends 0.2 s and 10 MB on it.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from types import ModuleType
from typing import Any

__all__ = ["defer_import"]

_giving_way = threading.Lock()


class _Deferred(ModuleType):
    """Stands where a module will be; becomes a name for it when something of it is asked for."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 (whatever the module has)
        # Who looks at every module there is asks for `__file__` and the like; `__path__` is asked
        # for by whoever imports something below it.
        if name.startswith("__") and name not in {"__path__", "__version__"}:
            raise AttributeError(name)
        with _giving_way:
            if sys.modules.get(self.__name__) is self:
                del sys.modules[self.__name__]
        # Python's own lock lets every other thread wait here until the module is whole.
        return getattr(importlib.import_module(self.__name__), name)


def defer_import(name: str) -> None:
    """Let a module be imported only when something of it is used.

    Nothing happens where it is not installed, or imported already.

    Args:
        name: A module at the top, such as `boto3`.
    """
    if name in sys.modules or (spec := importlib.util.find_spec(name)) is None:
        return
    deferred = _Deferred(name)
    deferred.__spec__ = spec  # Whoever asks whether it is installed is told so.
    sys.modules[name] = deferred
