"""What every place where work is done has in common."""

from types import TracebackType
from typing import Protocol, Self, TypeVar

from fetcher.engines.output import Printed
from fetcher.engines.scales import Scales

Item_contra = TypeVar("Item_contra", contravariant=True)
Result_co = TypeVar("Result_co", covariant=True)


class Engine(Protocol[Item_contra, Result_co]):
    """Does items one by one, for any number of tasks: `async with engine`, then `await engine.run(item)`.

    `scales` weigh what is cheaper done where it is asked for; `printed` is what the work has printed; `busy_s` is the
    processor time that it took in `workers` processes beside this one.
    """

    workers: int
    scales: Scales
    printed: Printed

    @property
    def busy_s(self) -> float: ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def warm_up(self) -> None:
        """Get ready before the first item comes."""

    async def run(self, item: Item_contra) -> Result_co:
        """The result for an item.

        Raises `Quarantined` with the reason when this item could not be done, `JobError` when the job's own code
        cannot be loaded, `RunStopped` when nothing can be done any more.
        """
        ...
