"""Keeping workers busy: as many jobs as they can do with, one after the other, none lost."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from dataclasses import dataclass
from itertools import islice
from typing import Generic, Protocol, TypeVar

from noisegate_cli.batch.executors import Workers
from noisegate_cli.errors import ClusterError, NoisegateError

HANDFUL_JOBS, HANDFUL_BYTES = 16, 6_000_000
"""Small jobs go to a worker together, until they are so many or so much: the way takes as long as
gating a few seconds."""

SHARES = 2
"""Or until they are this part of what is left for each worker, so that all end together."""


class Sized(Protocol):
    """A job with a size."""

    @property
    def size(self) -> int:
        """Bytes."""


S = TypeVar("S", bound=Sized)
J = TypeVar("J")
R = TypeVar("R")

LOOK_EVERY_S = 1.0
"""Seconds after which is looked what runs, when nothing ends."""

DIED_TWICE = "the process that gated it died, twice: is it too large?"


@dataclass(frozen=True, slots=True)
class Lost:
    """What is left of a job that has no result: its worker died twice, or it was never begun."""

    error: str


def unheard(jobs: list[J]) -> None:
    """Be told of jobs, and do nothing."""


def handfuls(
    jobs: Iterable[S], number: int, workers: Workers, most: int = HANDFUL_JOBS
) -> Iterator[list[S]]:
    """Yield jobs together that go to a worker together.

    Parameters
    ----------
    number
        How many jobs there are, at most.
    workers
        Who does them.
    most
        Of a handful.
    """
    together: list[S] = []
    size = 0
    for job in jobs:
        together.append(job)
        size += job.size
        enough = min(most, number // (SHARES * workers.size))
        if len(together) >= enough or size >= HANDFUL_BYTES:
            yield together
            number -= len(together)
            together, size = [], 0
    if together:
        yield together


class Runner(Generic[J, R]):
    """Runs jobs and hands on what comes of them, as they end.

    A worker that dies may take other jobs with it. They are done once more, each alone, so that
    only the one that kills a worker is lost.

    Parameters
    ----------
    workers
        Who does the jobs.
    work
        Makes a result of a job.
    take
        Gets the jobs of a handful, each with its result or that it is lost.
    watch
        Told now and then what is being done.
    enough
        Whether to stop: what isn't begun is left.
    died
        Told which jobs were being done when a worker died, before they are done once more.
    """

    def __init__(
        self,
        workers: Workers,
        work: Callable[[J], R],
        take: Callable[[list[tuple[J, R | Lost]]], None],
        *,
        watch: Callable[[list[J]], None] = unheard,
        enough: Callable[[], bool] = lambda: False,
        died: Callable[[list[J]], None] = unheard,
    ) -> None:
        self._workers, self._work, self._take = workers, work, take
        self._watch, self._enough, self._died = watch, enough, died
        self._running: dict[Future[list[R]], list[J]] = {}
        self._lost: list[J] = []

    def run(self, jobs: Iterable[list[J]]) -> None:
        """Run `jobs`, handful by handful; no more are taken than the workers can do with.

        When this is left by an exception, an interrupt say, the workers have stopped and what was
        done is handed on.
        """
        waiting: Iterator[list[J]] | None = iter(jobs)
        try:
            while waiting or self._running or self._lost:
                if self._enough():
                    waiting = None
                    self._lost.clear()
                    self._give_back()
                if self._lost:
                    self._settle_all()
                    self._workers.renew()
                    self._run_alone()
                elif waiting and not self._submit(waiting):
                    waiting = None
                if self._workers.worn:
                    self._settle_all()
                    self._workers.renew()
                self._settle()
        except BaseException:
            self._workers.stop()
            self._hand_on_the_rest()
            raise

    def _submit(self, waiting: Iterator[list[J]]) -> bool:
        """Give the workers something to do; whether there may be more."""
        most = self._workers.size * (1 + self._workers.queued)
        while len(self._running) < most and not self._workers.worn:
            jobs = next(waiting, None)
            if jobs is None:
                return False
            if not self._start(jobs):
                return True
        return True

    def _start(self, jobs: list[J]) -> bool:
        try:
            self._running[self._workers.submit(self._work, jobs)] = jobs
        except self._workers.died:
            self._lost += jobs
            return False
        return True

    def _settle(self) -> None:
        """Wait until something ends, or for a while, and hand on what ended."""
        # Workers take jobs in turn: the oldest are being done, the others wait.
        now = islice(self._running.values(), self._workers.size)
        self._watch([jobs[0] for jobs in now])
        done = wait(self._running, LOOK_EVERY_S, FIRST_COMPLETED).done
        for future in [f for f in self._running if f in done]:
            jobs = self._running.pop(future)
            outcomes: Sequence[R | Lost]
            try:
                outcomes = future.result()
            except self._workers.died:
                self._lost += jobs
                continue
            except CancelledError:
                raise ClusterError(
                    "the cluster's scheduler is gone: start it, and then this batch once more"
                ) from None
            except Exception as error:  # They didn't reach their worker, or their results not us.
                outcomes = [Lost(f"{type(error).__name__}: {error}")] * len(jobs)
            self._take(list(zip(jobs, outcomes, strict=True)))

    def _settle_all(self) -> None:
        while self._running:
            self._settle()

    def _run_alone(self) -> None:
        """Do what was lost once more, one by one."""
        lost, self._lost = self._lost, []
        self._died(lost)
        for job in lost:
            if self._enough():
                return
            if self._start([job]):
                self._settle_all()
            if self._lost:
                self._lost.clear()
                self._died([job])
                self._workers.renew()
                self._take([(job, Lost(DIED_TWICE))])

    def _give_back(self) -> None:
        """Take back what isn't begun."""
        for future in list(self._running):
            if future.cancel():
                del self._running[future]

    def _hand_on_the_rest(self) -> None:
        for future, jobs in self._running.items():
            if future.done() and not future.cancelled() and not future.exception():
                try:
                    self._take(list(zip(jobs, future.result(), strict=True)))
                except NoisegateError:
                    return  # That is what went wrong in the first place.
