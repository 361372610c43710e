"""`imsfeed docs`: the pages of the documentation, of just this version, on a machine that has only the wheel."""

from pathlib import Path
from typing import Annotated, Final

import typer

from deploy.commands.exit_codes import exits
from deploy.commands.printing import Exact, print_table, say
from ims.errors import InvalidSettingsError

_DEPLOY: Final = Path(__file__).parents[1]
_INSTALLED: Final = _DEPLOY / "pages"
"""Where the wheel has the pages; a checkout has them at its top."""


def add_commands(app: typer.Typer) -> None:
    """Add this command to *app*."""
    app.command(epilog=exits())(docs)


def docs(
    page: Annotated[
        str | None, typer.Argument(help="A page as a message or an alert names it, or its last part; unless: list all.")
    ] = None,
) -> None:
    """Print a page of the documentation, or list all pages.

    Example: [bold]imsfeed docs lost-feed-volume[/bold]
    """
    if page is None:
        print_table(("Page", "Title"), [(name, title_of(path)) for name, path in pages().items()])
        return
    # The pages are ours; nothing in them is data.
    say(*map(Exact, find_page(page).read_text(encoding="utf-8").splitlines()))


def pages() -> dict[str, Path]:
    """Return the pages by their names, such as ``runbook/lost-slot``, in order."""
    folder = _INSTALLED if _INSTALLED.is_dir() else _DEPLOY.parent / "docs"
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in sorted(folder.rglob("*.md"))}


def find_page(cited: str) -> Path:
    """Return the page that a message cites: ``docs/runbook/lost-slot.md``, ``runbook/lost-slot`` or ``lost-slot``.

    Raises:
        InvalidSettingsError: there is none, or more than one that ends so.
    """
    known = pages()
    name = cited.removeprefix("docs/").partition("#")[0].removesuffix(".md")
    if name in known:
        return known[name]
    found = [known_name for known_name in known if known_name.rpartition("/")[2] == name]
    if len(found) != 1:
        raise InvalidSettingsError(
            f"there is no page {cited[:100]!r}; `imsfeed docs` lists them"
            if not found
            else f"several pages are called {cited!r}: say which of {', '.join(found)}"
        )
    return known[found[0]]


def title_of(path: Path) -> str:
    """Return the first heading of a page."""
    with path.open(encoding="utf-8") as lines:
        return next((line.removeprefix("# ").strip() for line in lines if line.startswith("# ")), "")
