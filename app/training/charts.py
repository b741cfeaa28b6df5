"""pygal's charts, without what importing it leaves behind.

It looks for plugins, of which we have none, by an import hook of Python 2's kind. With that in
place Python 3.11 warns at every import that fails, of anything, so it is taken off.
"""

import sys

import pygal
from pygal.style import Style as Style

sys.meta_path[:] = [one for one in sys.meta_path if not isinstance(one, pygal.PluginImportFixer)]
XY = pygal.XY
