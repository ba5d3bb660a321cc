"""Holds for every test: no socket leaves this machine, and a failure can be repeated."""

import os
from pathlib import Path

from hypothesis import settings

from tests.guard import sitecustomize as guard

# This process, and through PYTHONPATH every Python process a test starts; but for whoever names a
# bucket of theirs on which the tests of stores shall run, for that is on another machine.
if not os.environ.get("LOCKGATE_TEST_S3"):
    guard.refuse_to_leave_this_machine()
    os.environ["PYTHONPATH"] = os.pathsep.join(
        filter(None, [str(Path(guard.__file__).parent), os.environ.get("PYTHONPATH")])
    )

settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("dev", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "dev")
