"""A browser for all tests of pages, and a function that writes pages."""

import pytest

from noisegate_cli.terminal.cli import run
from tests.page.browser import Browser, find_browser


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """Return a headless browser; tests that need one are skipped where there is none."""
    path = find_browser()
    if path is None:
        pytest.skip("no Chromium is installed")
    folder = tmp_path_factory.mktemp("browser")
    try:
        browser = Browser(path, folder / "profile")
    except OSError:
        pytest.skip(f"{path} does not start")
    browser.downloads = folder / "downloads"
    browser.set_downloads(browser.downloads)
    yield browser
    browser.close()


@pytest.fixture
def write_page(tmp_path):
    """Return a function that writes the page of a recording and returns its path."""

    def write(source, *options):
        page = tmp_path / "page.html"
        arguments = ["analyze", str(source), "--page", str(page), "-f", "-q", *options]
        assert run(arguments) == 0
        return page

    return write
