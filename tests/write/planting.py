"""How a bug is planted: one of the writer's functions works on a disk or a file on which one call is another."""

import dataclasses
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from fetcher.write import batch, segments, series, whole, writer
from fetcher.write.segments import GrowingSegment, Layout

Ran = Callable[[], None]


class But:
    """Something else, but for the attributes given here."""

    def __init__(self, real: Any, **others: Any) -> None:
        self.__dict__.update(others)
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def on(layout: Layout, **others: Any) -> Layout:
    """The same layout on a disk that does some things otherwise."""
    return dataclasses.replace(layout, disk=But(layout.disk, **others))


class Plant:
    """Puts changed functions where the writer looks for them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, ran: Ran) -> None:
        self.ran = ran
        self._monkeypatch = monkeypatch

    def method(self, owner: type, name: str, make: Callable[[Any], Any]) -> None:
        """`make` gets the real method and returns the changed one."""
        self._monkeypatch.setattr(owner, name, make(getattr(owner, name)))

    def step(self, name: str, otherwise: Callable[[Layout], dict[str, Any]]) -> None:
        """A step of `segments` gets a disk on which the calls named are done otherwise."""
        real = getattr(segments, name)

        def changed(layout: Layout, *rest: Any, **named: Any) -> Any:
            return real(on(layout, **otherwise(layout)), *rest, **named)

        self.function(name, changed)

    def function(self, name: str, changed: Any) -> None:
        """Replace a step of `segments`, for itself and for the writer."""
        for module in (segments, series, batch, whole, writer):
            if hasattr(module, name):
                self._monkeypatch.setattr(module, name, changed)

    def of(self, module: ModuleType, name: str, changed: Any) -> None:
        """Replace a function of any module."""
        self._monkeypatch.setattr(module, name, changed)

    def durable(self, sync: Callable[[Any], Any], only_sealed: bool = False) -> None:
        """`GrowingSegment.durable` with another `sync` of its file."""

        def make(real: Any) -> Any:
            async def durable(growing: Any, is_sealed: bool) -> Any:
                file = growing._file
                if is_sealed or not only_sealed:
                    growing._file = But(file, sync=lambda: sync(file))
                try:
                    return await real(growing, is_sealed)
                finally:
                    growing._file = file

            return durable

        self.method(GrowingSegment, "durable", make)
