"""Settings of the whole test run."""

import atexit
import os
import shutil
import tempfile

# transformers copies remote code into this folder and remembers it for the life of the process: one for the run, away
# from the user's own. It is read when transformers is imported, so it has to be set before any test module is.
_MODULES = tempfile.mkdtemp(prefix="trimoe-tests-")
os.environ["HF_MODULES_CACHE"] = _MODULES
os.environ["HF_HUB_OFFLINE"] = "1"
atexit.register(shutil.rmtree, _MODULES, ignore_errors=True)

pytest_plugins = ("tests.support.fixtures",)
