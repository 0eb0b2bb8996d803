"""What can go wrong, one class per reaction.

    FetcherError
    ├── JobError              fix the job file, then run again            exit 78
    ├── RowError              this row alone; the others go on            exit 3 at the end
    │   ├── Refused           asking again will not help
    │   ├── GaveUp            the next run asks again
    │   │   └── Incomplete    its pages do not add up; the next run asks from the first one
    │   ├── Unknown           sent, and only the server knows whether it was carried out
    │   ├── Parked            the server asked for a long wait; asked again after it
    │   ├── NotKept           no answer is kept, and no request was allowed
    │   └── Quarantined       the answer came and could not be parsed
    └── RunStopped            nothing more can be done in this run
        ├── Busy              another run holds the job                   exit 4
        ├── Contradiction     ledger and files tell different stories     exit 65
        ├── Stopped           a rule of the job ends the run              exit 75
        ├── CredentialRefused the API does not know us                    exit 78
        ├── ApiDown           nobody answers there, or fails for long     exit 69
        └── DiskFailed        the disk failed or is full                  exit 74

Messages say where, what was expected, what came, and what to do. They reach logs, the ledger and the screen, so no
secret may be put into one.
"""

from collections.abc import Sequence
from dataclasses import dataclass


class FetcherError(Exception):
    """Everything that fetcher raises on purpose. `exit_code` is the program's when this ends a run."""

    exit_code = 1


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing that is wrong in a job file. `line` and `column` count from 1; 0 where the fault has no place."""

    line: int
    column: int
    key: str
    message: str

    def located(self, file: str) -> str:
        """`job.toml:12:1 fetch.limits.rat: unknown key; did you mean 'rate'?`"""
        place = f"{file}:{self.line}:{self.column}" if self.line else file
        return f"{place} {self.key}: {self.message}" if self.key else f"{place} {self.message}"


class JobError(FetcherError):
    """The job file, or something that it names, is wrong. `faults` holds every fault found, in file order."""

    exit_code = 78

    def __init__(self, file: str, faults: Sequence[Fault]) -> None:
        self.file = file
        self.faults = tuple(sorted(faults))
        super().__init__("\n".join(fault.located(file) for fault in self.faults))


class RowError(FetcherError):
    """One row ends here; its message is the reason in the ledger, `attempts` the requests that were sent for it, and
    `status` that of the answer to the last one, None where none came.

    Where an annotator asked, the row's own answer is here, and `in_flight` are the questions that were sent and whose
    answers are not.
    """

    attempts = 0
    status: int | None = None
    in_flight: tuple[str, ...] | None = None


class Refused(RowError):
    """Asking again will not help: the row counts as settled."""


class GaveUp(RowError):
    """Every allowed attempt failed; the next run asks again. `is_early` where fewer were made than the job allows."""

    is_early = False


class Incomplete(GaveUp):
    """The pages of a row cannot be all of it; the next run asks from the first one."""


class Unknown(RowError):
    """A request that must not be sent twice was sent, and its answer was lost; the job says what happens to the row, or
    the annotator that asked: `on_unknown`."""

    on_unknown = ""


class Parked(RowError):
    """The server asked for a wait too long to sit out. `until` is in epoch seconds; nothing is sent before."""

    def __init__(self, message: str, until: float) -> None:
        self.until = until
        super().__init__(message)

    def __reduce__(self) -> tuple[type["Parked"], tuple[str, float]]:
        """Copied and sent with both of its parts."""
        return type(self), (str(self), self.until)


class NotKept(RowError):
    """No answer to this row's request is kept, and the run may not ask for one."""


class Quarantined(RowError):
    """The answer could not be parsed, or its parser died or hung; it is set aside.

    `trace` is the parser's traceback, where it raised. `record` is the number of the record that the parser said it was
    at, where it works through many and says so; else -1.
    """

    def __init__(self, message: str, trace: str = "", record: int = -1) -> None:
        self.trace, self.record = trace, record
        super().__init__(message)


class RunStopped(FetcherError):
    """The run ends here; what was committed stays."""


class Busy(RunStopped):
    """Another run holds this job's folder."""

    exit_code = 4


class Contradiction(RunStopped):
    """Ledger and files disagree. Nothing was touched; the message says how to mend it."""

    exit_code = 65


class Stopped(RunStopped):
    """An answer says that there is nothing more to be had for now: a quota is used up. Run again later."""

    exit_code = 75


class CredentialRefused(RunStopped):
    """The API refuses the credential, so it would refuse every row. Nothing else is asked; mend it, then run again."""

    exit_code = 78


class ApiDown(RunStopped):
    """Nobody answers at the API's address, or whoever does has failed for too long."""

    exit_code = 69


class DiskFailed(RunStopped):
    """A write, an fsync or a rename failed. Nothing was committed after the last good commit."""

    exit_code = 74
