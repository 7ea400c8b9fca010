"""Browsers for all tests of pages, and a function that writes pages."""

import pytest

from noisegate_cli.terminal.cli import run
from tests.page.browser import Browser, find_browser
from tests.page.firefox import Firefox, find_firefox


def start_browser(browser, path, folder):
    """Yield a running browser; tests that need it are skipped where there is none."""
    if path is None:
        pytest.skip(f"no {folder.name} is installed")
    try:
        browser = browser(path, folder / "profile")
    except OSError:
        pytest.skip(f"{path} does not start")
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """Return a headless Chromium."""
    yield from start_browser(Browser, find_browser(), tmp_path_factory.mktemp("Chromium"))


@pytest.fixture(scope="session")
def firefox(tmp_path_factory):
    """Return a headless Firefox."""
    yield from start_browser(Firefox, find_firefox(), tmp_path_factory.mktemp("Firefox"))


@pytest.fixture(params=["chromium", "firefox"])
def browser(request):
    """Return each browser in turn."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def write_page(tmp_path):
    """Return a function that writes the page of a recording and returns its path."""

    def write(source, *options):
        page = tmp_path / "page.html"
        arguments = ["analyze", str(source), "--page", str(page), "-f", "-q", *options]
        assert run(arguments) == 0
        return page

    return write
