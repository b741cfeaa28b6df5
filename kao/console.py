"""The two streams that commands print to.

Markup is off: a name such as `[/x]` comes from a user, and is text.
"""

from rich.console import Console

out = Console(markup=False, highlight=False, soft_wrap=True)
err = Console(stderr=True, markup=False, highlight=False, soft_wrap=True)
