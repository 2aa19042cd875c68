"""HTML from templates in which every text is escaped and made printable, so that nothing from outside becomes markup."""

from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from lander.protocol.text import printable

if TYPE_CHECKING:
    from jinja2 import Environment

_PACKAGE: Final = "lander.reports.render"


def environment() -> "Environment":
    """The templates of this package; jinja2 is imported only when something is rendered."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader(_PACKAGE, "templates"),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )


def read_template(name: str) -> str:
    """A file of the templates as it is written."""
    return files(_PACKAGE).joinpath("templates", name).read_text("utf-8")


def _shown(value: Any) -> Any:
    """A value as the page shows it: text from outside is made printable, what is markup already is left alone."""
    return printable(value) if type(value) is str else value
