"""`make mutants`: mutmut, with the tests collected once.

mutmut forks a process for every mutant, which then starts pytest and collects the test files anew: half a second of
processor time, where most mutants die within a hundredth of that. Here the fork comes after the collection.
"""

from __future__ import annotations

from collections.abc import Iterable

import mutmut.__main__ as mutmut
from _pytest.config import _prepareconfig
from _pytest.main import Session
from mutmut.configuration import config
from mutmut.runners.harness import PytestRunner
from mutmut.utils.file_utils import change_cwd
from mutmut.workers.isolation import ForkRunner


class CollectedTests(PytestRunner):
    """Runs chosen tests of one collection."""

    def __init__(self) -> None:
        super().__init__()
        self._session: Session | None = None

    def collect(self) -> None:
        """Once, in the process from which all others are forked."""
        args = ["--rootdir=.", "--tb=no", "--capture=no", *config().pytest_add_cli_args]
        with change_cwd("mutants"):
            settings = _prepareconfig([*args, *config().pytest_add_cli_args_test_selection])
            settings._do_configure()
            self._session = Session.from_config(settings)
            settings.hook.pytest_sessionstart(session=self._session)
            settings.hook.pytest_collection(session=self._session)

    def run_tests(self, *, mutant_name: str | None, tests: Iterable[str]) -> int:
        """Up to the first failure, in the order given; 1 where there is one, as pytest has it."""
        if self._session is None or mutant_name is None:
            return super().run_tests(mutant_name=mutant_name, tests=tests)
        items = {item.nodeid: item for item in self._session.items}
        with change_cwd("mutants"):
            for item in (items[name] for name in tests):
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
                if self._session.testsfailed:
                    return 1
        return 0


class CollectedForks(ForkRunner):
    """One fork a mutant, of a process that has collected the tests."""

    def startup(self) -> None:
        assert isinstance(self.test_runner, CollectedTests)
        self.test_runner.collect()
        super().startup()


def _runner(max_workers: int = 1) -> CollectedForks:
    return CollectedForks(max_workers=max_workers, test_runner=CollectedTests())


if __name__ == "__main__":
    mutmut.get_mutant_runner = _runner
    mutmut.cli()
