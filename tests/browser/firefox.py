"""Firefox through Marionette, the protocol that Firefox itself speaks; geckodriver only adds HTTP.

https://firefox-source-docs.mozilla.org/testing/marionette/Protocol.html
"""

import json
import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

from tests.support.waiting import wait

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the key of an element's id (WebDriver §12)
OLD = "data-old-document"  # marks the page that a click is to replace
PATIENCE = 120  # s; under a load of 20 its start takes more than 60
SYSTEM = "--remote-allow-system-access"  # the log of errors is the browser's own
PREFERENCES = {
    "marionette.port": 0,  # a free one, which Firefox writes to a file
    "app.update.disabledForTesting": True,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "intl.accept_languages": "en",
    "toolkit.telemetry.reportingpolicy.firstRun": False,
}
# The window is 450 pixels wide or more; the part of it that shows the page may be narrower.
NARROW = """
const { gBrowser } = Services.wm.getMostRecentWindow("navigator:browser");
const width = arguments[0];
gBrowser.selectedBrowser.style.cssText = width
  ? `width: ${width}px; max-width: ${width}px; min-width: 0; flex: none; justify-self: start;`
  : "";
"""
# A request that the next page's opening ended (NS_BINDING_ABORTED) is no error of the page.
ERRORS = """
return Services.console.getMessageArray()
  .filter((one) => one instanceof Ci.nsIScriptError)
  .filter((one) => !(one.flags & Ci.nsIScriptError.warningFlag))
  .filter((one) => one.sourceName.startsWith(arguments[0]))
  .filter((one) => !one.errorMessage.startsWith("NS_BINDING_ABORTED"))
  .map((one) => `${one.errorMessage} ${one.sourceName}:${one.lineNumber}`)
"""


def program() -> str | None:
    """The path of Firefox, where it is installed."""
    return shutil.which("firefox-esr") or shutil.which("firefox")


class Firefox:
    """A Firefox without a window, in a profile of its own."""

    def __init__(self, path: str, profile: Path) -> None:
        lines = [f"user_pref({json.dumps(k)}, {json.dumps(v)});" for k, v in PREFERENCES.items()]
        (profile / "user.js").write_text("\n".join(lines))
        self.process = subprocess.Popen(
            [path, "--headless", "--no-remote", "--marionette", SYSTEM, "--profile", str(profile)],
            env={**os.environ, "HOME": str(profile)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            self._connect(profile)
        except BaseException:
            self.process.kill()
            raise

    def _connect(self, profile: Path) -> None:
        port = wait(lambda: _read(profile / "MarionetteActivePort"), PATIENCE, "Firefox listens")
        self.socket = socket.create_connection(("127.0.0.1", int(port)), PATIENCE)
        self.stream = self.socket.makefile("rb")
        self._receive()  # its greeting
        self.count = 0
        self.call("WebDriver:NewSession")

    def close(self) -> None:
        """End the browser."""
        self.stream.close()
        self.socket.close()
        self.process.terminate()
        self.process.wait(PATIENCE)

    def call(self, command: str, **parameters: Any) -> Any:
        """Run one command of Marionette; its value. Raises AssertionError with its error."""
        self.count += 1
        message = json.dumps([0, self.count, command, parameters]).encode()
        self.socket.sendall(b"%d:%s" % (len(message), message))
        _, number, error, value = self._receive()
        assert number == self.count
        assert error is None, f"{command}: {error}"
        return value.get("value", value) if isinstance(value, dict) else value

    def _receive(self) -> Any:
        digits = b""
        while (character := self.stream.read(1)) != b":":
            assert character, "Firefox closed its connection"
            digits += character
        return json.loads(self.stream.read(int(digits)))

    def open(self, address: str) -> None:
        """Open an address and wait until it has loaded."""
        self.call("WebDriver:Navigate", url=address)

    def run(self, script: str, *arguments: Any) -> Any:
        """The value of a script, which returns it."""
        return self.call("WebDriver:ExecuteScript", script=script, args=list(arguments))

    def until(self, expression: str) -> None:
        """Wait for an expression of JavaScript to be true."""
        wait(lambda: self._is_true(expression), PATIENCE, expression)

    def _is_true(self, expression: str) -> bool:
        try:
            return bool(self.run(f"return Boolean({expression})"))
        except AssertionError as error:
            if "unload" not in str(error):
                raise
            return False  # the next page came while the script ran

    def click(self, selector: str) -> None:
        """Click an element; fails where another covers it."""
        self.call("WebDriver:ElementClick", id=self._element(selector))

    def click_to_load(self, selector: str) -> None:
        """Click what opens another document or reloads this one, and wait until it has loaded."""
        self.run(f"document.documentElement.setAttribute('{OLD}', '')")
        self.click(selector)
        self.until(f"!document.querySelector('[{OLD}]') && document.readyState === 'complete'")

    def write(self, selector: str, text: str) -> None:
        """Empty a field and type."""
        element = self._element(selector)
        self.call("WebDriver:ElementClear", id=element)
        self.call("WebDriver:ElementSendKeys", id=element, text=text)

    def resize(self, width: int, height: int) -> None:
        """Make the window this large, in pixels."""
        self.call("WebDriver:SetWindowRect", width=width, height=height)

    def narrow(self, width: int | None) -> None:
        """Show the page this wide, in pixels, however wide the window is; None: as the window."""
        self.call("Marionette:SetContext", value="chrome")
        self.run(NARROW, width)
        self.call("Marionette:SetContext", value="content")

    def forget_errors(self) -> None:
        """Empty the log of errors, so that a test sees only its own."""
        self.call("Marionette:SetContext", value="chrome")
        self.run("Services.console.reset()")
        self.call("Marionette:SetContext", value="content")

    def errors(self, origin: str) -> list[str]:
        """The errors of scripts and of the policy on pages of an origin, since `forget_errors`."""
        self.call("Marionette:SetContext", value="chrome")
        messages = self.run(ERRORS, origin)
        self.call("Marionette:SetContext", value="content")
        return list(messages)

    def _element(self, selector: str) -> str:
        reply = self.call("WebDriver:FindElement", using="css selector", value=selector)
        return str(reply[ELEMENT])


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""
